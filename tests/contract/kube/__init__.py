"""The Kubernetes port: in memory, over HTTP to kube_light, and on a real control plane."""
