"""HTML that escapes by construction: text becomes markup only through these functions. Pure.

Control and bidi characters are dropped: they must not turn a line around in a browser either (promise P7).
"""

import html
import re
from collections.abc import Iterable
from datetime import UTC, datetime

CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff"
    r"\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
"""What hides or turns a line around, and half characters that no encoder takes."""


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def shown(value: object) -> Markup:
    """Return a value as text of a page; markup stays what it is."""
    if isinstance(value, Markup):
        return value
    return Markup(html.escape(CONTROL.sub("", str(value)), quote=True))


def tag(name: str, *children: object, **attributes: object) -> Markup:
    """Return an element; a trailing underscore in an attribute's name is dropped (class_), None leaves it out."""
    facts = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{shown(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{facts}>{joined(children)}</{name}>")


def joined(children: Iterable[object]) -> Markup:
    """Return several things one after the other."""
    return Markup("".join(shown(child) for child in children))


def moment(at: datetime | None, form: str = "%H:%M:%S") -> Markup:
    """Return a time in UTC with its full form beside it."""
    if at is None:
        return Markup("")
    utc = at.astimezone(UTC)
    return tag("time", utc.strftime(form), datetime=utc.isoformat(), title=utc.strftime("%Y-%m-%d %H:%M:%S UTC"))


def span(seconds: float) -> str:
    """Return a length of time as people say it, in seconds, minutes, hours or days."""
    minutes = max(0, int(seconds)) // 60
    if not minutes:
        return f"{max(0, int(seconds))} s"
    if minutes < 60:  # noqa: PLR2004 - an hour
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes < 60 * 48 else f"{minutes // 1440} d"


def page(title: str, *body: object, refresh: int = 0) -> Markup:
    """Return a whole document."""
    again = Markup(f'<meta http-equiv="refresh" content="{refresh}">') if refresh else Markup("")
    head = joined(
        (
            Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'),
            again,
            tag("title", title),
            Markup('<link rel="stylesheet" href="/style.css">'),
        )
    )
    nav = tag("nav", tag("a", "fluxmedic", href="/", class_="home"), tag("a", "readiness", href="/readyz"))
    inside = joined((head, Markup("</head><body>"), nav, tag("main", *body)))
    return Markup(f'<!doctype html><html lang="en"><head>{inside}</body></html>')
