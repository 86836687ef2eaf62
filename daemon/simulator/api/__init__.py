"""A Kubernetes API server in memory: store, patches, watches, faults. See server.py for how it is started."""
