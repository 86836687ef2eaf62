"""The cluster over HTTP: the only package that imports kubernetes_asyncio. It knows nothing of Flux."""
