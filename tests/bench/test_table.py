"""The table of the benchmarks judges by the bound of its row."""

import pytest

from tests.bench.table import AT_LEAST, AT_MOST, Row, figure, quantile


@pytest.mark.parametrize(
    ("measured", "first", "bound", "verdict"),
    [
        (4.0, 5.0, AT_MOST, "ok"),
        (5.0, 5.0, AT_MOST, "ok"),
        (6.0, 5.0, AT_MOST, "over"),
        (4.0, 5.0, AT_LEAST, "over"),
        (6.0, 5.0, AT_LEAST, "ok"),
        (6.0, None, AT_MOST, "-"),
    ],
)
def test_a_row_is_judged_by_its_bound(measured, first, bound, verdict):
    assert Row("row", measured, "s", first, bound).verdict == verdict


def test_a_row_without_a_figure_to_meet_says_no_verdict_to_machines():
    assert Row("row", 1.5, "s").document() == {"name": "row", "measured": 1.5, "unit": "s"}
    assert Row("row", 1.5, "s", 1.0, note="why").document() == {
        "name": "row",
        "measured": 1.5,
        "unit": "s",
        "first": 1.0,
        "bound": AT_MOST,
        "ok": False,
        "note": "why",
    }


def test_a_quantile_is_one_of_the_values():
    values = [float(each) for each in range(100, 0, -1)]
    assert (quantile(values, 0.5), quantile(values, 0.99), quantile([7.0], 0.99)) == (51.0, 100.0, 7.0)


def test_a_figure_has_as_many_digits_as_say_something():
    assert [figure(value) for value in (0.01234, 1.5, 1234.5)] == ["0.0123", "1.5", "1,234"]
