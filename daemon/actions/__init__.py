"""What touches a cluster, one file each; discovered by the constant PLUGIN.

An action is idempotent by its request's id, re-checks what it expects in the write itself, and answers `look` truly
after a cut connection. It touches only what its permissions name.
"""
