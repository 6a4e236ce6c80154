"""The custom resources as frozen dataclasses: one module per kind, no I/O.

The CRD schemas in ``charts/garrison/crds`` are generated from these classes.
"""
