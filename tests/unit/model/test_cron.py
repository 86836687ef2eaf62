"""A cron line means what crontab(5) says, and what can never be right says why."""

import pytest

from daemon.model.cron import parse

WEEK = frozenset(range(7))


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("*", set(range(60))),
        ("17", {17}),
        ("*/15", {0, 15, 30, 45}),
        ("10-13", {10, 11, 12, 13}),
        ("10-20/5", {10, 15, 20}),
        ("50/3", {50, 53, 56, 59}),
        ("0,30,58-59", {0, 30, 58, 59}),
        ("5-5", {5}),
        ("59/1", {59}),
        ("00", {0}),
    ],
)
def test_a_field_is_a_list_of_numbers_ranges_and_steps(text, minutes):
    assert parse(f"{text} * * * *").minutes == minutes


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("0", {0}),
        ("7", {0}),
        ("sun", {0}),
        ("Mon", {1}),
        ("1-5", {1, 2, 3, 4, 5}),
        ("5-7", {5, 6, 0}),
        ("fri-sun", {5, 6, 0}),
        ("sun-tue", {0, 1, 2}),
        ("sun-sun", {0}),
        ("0-7", WEEK),
        ("*/2", {0, 2, 4, 6}),
        ("1/2", {1, 3, 5}),
        ("mon,WED,fri", {1, 3, 5}),
        ("*", WEEK),
    ],
)
def test_sunday_is_zero_and_seven_and_names_are_what_they_say(text, days):
    assert parse(f"0 3 * * {text}").weekdays == days


def test_months_have_names_too():
    assert parse("0 0 1 jan-mar,12 *").months == {1, 2, 3, 12}


def test_fields_stand_apart_by_any_space():
    assert parse("  17   *\t* * * ") == parse("17 * * * *")


@pytest.mark.parametrize(
    ("line", "either"),
    [("0 0 1 * 1", True), ("0 0 1 * *", False), ("0 0 * * 1", False), ("0 0 */2 * 1", False), ("0 0 1 * */2", False)],
)
def test_day_and_weekday_are_either_unless_one_begins_with_a_star(line, either):
    assert parse(line).either is either


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("* * * *", "a schedule has five fields: minute hour day month weekday"),
        ("* * * * * *", "a schedule has five fields"),
        ("@hourly", "a schedule has five fields"),
        ("", "a schedule has five fields"),
        ("60 * * * *", "minute 60 is out of range, it is 0 to 59"),
        ("* 24 * * *", "hour 24 is out of range, it is 0 to 23"),
        ("* * 0 * *", "day 0 is out of range, it is 1 to 31"),
        ("* * 32 * *", "day 32 is out of range"),
        ("* * * 0 *", "month 0 is out of range, it is 1 to 12"),
        ("* * * * 8", "weekday 8 is out of range, it is 0 to 7"),
        ("0-60 * * * *", "minute 60 is out of range"),
        ("*/0 * * * *", r"minute \*/0 has a step of nothing: the least is 1"),
        ("*/60 * * * *", r"minute \*/60 has a step beyond its end: only 0 would ever come, so write 0"),
        ("* 10-12/3 * * *", "hour 10-12/3 has a step beyond its end: only 10 would ever come"),
        ("30-10 * * * *", "minute 30-10 runs backwards: write 30-59,0-10"),
        ("* 22-2 * * *", "hour 22-2 runs backwards: write 22-23,0-2"),
        ("* * * * fri-mon", "weekday fri-mon runs backwards: write 5-6,0-1"),
        ("* * * * 6-1", "weekday 6-1 runs backwards: write 6,0-1"),
        ("* * * * 7-2", "weekday 7-2 runs backwards: write 0-2"),
        ("* * * * someday", "weekday 'someday' is none of 5, 1-5"),
        ("* * * * mum", "weekday 'mum' is unknown, there are sun, mon"),
        ("* * * jum *", "month 'jum' is unknown, there are jan, feb"),
        ("mon * * * *", "minute 'mon' is unknown, a schedule has five fields"),
        ("x * * * *", "minute 'x' is none of 5, 1-5"),
        ("1, * * * *", "minute '' is none of 5"),
        ("*-5 * * * *", r"minute '\*-5' is none of"),
        ("-1 * * * *", "minute '-1' is none of"),
        ("٣ * * * *", "minute '٣' is none of"),
        (f"{'9' * 5000} * * * *", "is none of"),
    ],
)  # fmt: skip
def test_f046_what_can_never_be_right_is_refused_with_its_reason(line, said):
    with pytest.raises(ValueError, match=said):
        parse(line)


@pytest.mark.parametrize(
    ("line", "comes"),
    [
        ("0 0 31 2 *", False),
        ("0 0 30,31 feb *", False),
        ("0 0 31 2,4,6,9,11 *", False),
        ("0 0 30 2 */2", False),
        ("0 0 29 2 *", True),
        ("0 0 31 * *", True),
        ("0 0 31 2 1", True),
    ],
)
def test_a_day_that_no_month_has_never_comes(line, comes):
    assert parse(line).comes is comes
