"""The nouns every other package speaks in: frozen values, no behaviour that reaches outside.

Only the standard library's value modules may be imported here. No clock, no randomness, no I/O, no logging:
a test keeps it so (pyproject.toml, import contracts).
"""
