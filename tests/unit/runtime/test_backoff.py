"""Delays: they double, they scatter, they end growing, and they never reach zero."""

from itertools import islice

from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.runtime.backoff import FIRST, LIMIT, delays, jitter


@settings(max_examples=50)
@given(st.integers(0, 10_000))
def test_every_delay_lies_in_the_upper_half_of_a_doubling_ceiling(seed):
    ceiling = FIRST
    for delay in islice(delays(seed=seed), 12):
        assert ceiling / 2 <= delay <= ceiling
        ceiling = min(LIMIT, ceiling * 2)


def test_a_seed_makes_delays_repeatable():
    assert list(islice(delays(seed=1), 5)) == list(islice(delays(seed=1), 5))
    assert list(islice(delays(seed=1), 5)) != list(islice(delays(seed=2), 5))


def test_jitter_is_a_share():
    assert all(0 <= share < 1 for share in islice(jitter(seed=3), 100))
