"""Whether the tests notice when the core is wrong: `python -m tests.mutation` (make mutation)."""
