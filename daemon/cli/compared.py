"""What two sets of rules made of one recording, for a terminal: a row for each thing that differs, in words."""

from collections.abc import Iterator, Mapping, Sequence

from daemon.cli.output import place

SHOWN = 4
"""Messages or actions of one incident that are spelt out; the rest is counted, the whole is in the JSON."""
LABELS = {"opened_at": "opened", "resolved_at": "resolved"}


def rows_of(found: Mapping[str, object]) -> list[list[str]]:
    """Return a row for each incident that is gone or new, and one for each difference of the others."""
    rows = [["-", place(each.get("root")), str(each.get("cause"))] for each in _maps(found["gone"])]
    rows += [["+", place(each.get("root")), str(each.get("cause"))] for each in _maps(found["new"])]
    for each in _maps(found["changed"]):
        changes = each.get("changes")
        for field, (old, new) in changes.items() if isinstance(changes, Mapping) else ():
            rows += [["~", place(each.get("root")), text] for text in _words(field, old, new)]
    return rows


def summary(found: Mapping[str, object]) -> str:
    """Return how many incidents differ, and how many messages and actions there are where that differs."""
    gone, new, changed = (len(_maps(found[key])) for key in ("gone", "new", "changed"))
    text = f"{gone} incident(s) gone, {new} new, {changed} told differently"
    for key in ("notifications", "actions"):
        counts = found[key]
        if isinstance(counts, list) and counts[0] != counts[1]:
            text += f"; {counts[0]} → {counts[1]} {key}"
    return text


def _words(field: str, old: object, new: object) -> Iterator[str]:
    if field not in ("told", "actions"):
        yield f"{LABELS.get(field, field)}: {_value(field, old)} → {_value(field, new)}"
        return
    texts = list(_moved(_by_what(old), _by_what(new)))
    yield from (f"{field}: {text}" for text in texts[:SHOWN])
    if len(texts) > SHOWN:
        yield f"{field}: and {len(texts) - SHOWN} more"


def _moved(old: Mapping[str, list[str]], new: Mapping[str, list[str]]) -> Iterator[str]:
    """Yield of each message or action when it moved to, or that it is there in one of the two alone."""
    for what in dict.fromkeys((*old, *new)):
        before = [at for at in old.get(what, []) if at not in new.get(what, [])]
        after = [at for at in new.get(what, []) if at not in old.get(what, [])]
        paired = min(len(before), len(after))
        yield from (f"{what}: {first} → {second}" for first, second in zip(before, after, strict=False))
        yield from (f"{what} at {at}: no more" for at in before[paired:])
        yield from (f"{what} at {at}: now" for at in after[paired:])


def _by_what(items: object) -> dict[str, list[str]]:
    """Return the moments of each kind of message or action, such as `slack opened`, in their order."""
    found: dict[str, list[str]] = {}
    for item in _maps(items):
        parts = [place(value) or str(value) for key, value in item.items() if key != "at"]
        found.setdefault(" ".join(parts), []).append(_moment(item.get("at")))
    return found


def _value(field: str, value: object) -> str:
    if field.endswith("_at"):
        return _moment(value)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _moment(value: object) -> str:
    return f"{str(value)[:19].replace('T', ' ')}Z" if value else "never"


def _maps(items: object) -> list[Mapping[str, object]]:
    return [item for item in items if isinstance(item, Mapping)] if isinstance(items, Sequence) else []
