"""Delays as a pure iterator: doubling, with full jitter, up to a limit. The only place with randomness."""

import random  # noqa: TID251 - the one place
from collections.abc import Iterator

FIRST = 0.8
LIMIT = 30.0
"""client-go's reflector: 0.8 s doubling to 30 s (kubernetes/client-go:tools/cache/reflector.go)."""


def delays(first: float = FIRST, limit: float = LIMIT, seed: int | None = None) -> Iterator[float]:
    """Yield seconds to wait before each next try; a seed makes them repeatable. Never ends."""
    source = random.Random(seed)  # noqa: S311 - jitter, no secret
    ceiling = first
    while True:
        yield ceiling / 2 + source.random() * ceiling / 2
        ceiling = min(limit, ceiling * 2)


def jitter(seed: int | None = None) -> Iterator[float]:
    """Yield numbers between 0 and 1."""
    source = random.Random(seed)  # noqa: S311 - jitter, no secret
    while True:
        yield source.random()
