"""Figures on the command line: lengths of time, and numbers that are really some.

What cannot be meant (nan, without end, below nothing, longer than a month) is refused with a sentence.
"""

import math
import re
from collections.abc import Callable

import click

_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
_BARE = re.compile(r"[0-9]+(?:\.[0-9]+)?")


def length(*, least: float = 0.0, bare: bool = False) -> Callable[[str], float]:
    """Return the type of an option that is a length of time such as 30s, 5m or 1h30m, as in rule files, in seconds.

    With `bare` a number alone is taken too, as seconds; nothing below `least` seconds is.
    """

    def seconds(text: str) -> float:
        from daemon.rules.schema import seconds_of

        try:
            found = seconds_of(f"{text}s" if bare and _BARE.fullmatch(text) else text)
        except ValueError as error:
            raise click.BadParameter(f"{text!r}: {error}") from error
        if found < least:
            raise click.BadParameter(f"{text!r}: too short, at least {least:g}s")
        return found

    return seconds


def numeric(_ctx: click.Context, _param: click.Parameter, value: float) -> float:
    """Refuse nan, which is outside of no range."""
    if math.isnan(value):
        raise click.BadParameter("nan is no number")
    return value


def spelt(seconds: int) -> str:
    """Return whole seconds as a person writes them: 1d12h, 90s as 1m30s."""
    words = ""
    for unit, size in _UNITS:
        count, seconds = divmod(seconds, size)
        words += f"{count}{unit}" if count else ""
    return words or "0s"
