"""An API server of Kubernetes' shape in memory, for tests and development.

It keeps objects, versions, watches, finalizers and owners as the real one does. It does not run
workloads, knows no access control, and does not evaluate CEL rules of CRDs.
"""
