"""The core: one synchronous function from a signal to effects, and nothing that reaches outside.

`step` and `adopt` (step.py) are the only two ways in. Nothing here reads a clock, sleeps, logs or awaits.
"""
