"""Simulated Flux controllers and workloads over the simulated API server, each module one of them."""
