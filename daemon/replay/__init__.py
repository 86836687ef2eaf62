"""See the modules: each says its idea and its limits."""
