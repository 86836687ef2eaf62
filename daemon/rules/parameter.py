"""What the parameters of a probe may say: values that the core can read, of an object that there can be.

Asked at load with a procedure's defaults, and again whenever it is bound with other values. Limit: it knows no cluster;
a kind that is none of ours may be namespaced or not.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches

from daemon.flux.kinds import group_for_kind, kind_named, kind_of
from daemon.flux.specs import REPLICAS

EVERY = "all"
"""As `ready` of a workload: every pod that it should have."""
_WHOLE = re.compile(r"[1-9][0-9]{0,5}")
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_GLOB = re.compile(r"[*?\[]")
STATUSES = ("True", "False", "Unknown")
RELEASE_STATUSES = (
    *("deployed", "failed", "superseded", "uninstalled", "uninstalling", "unknown"),
    *("pending-install", "pending-upgrade", "pending-rollback"),
)
"""Helm's own words (helm: pkg/release/v1/status.go)."""
SINGLE = frozenset({"absent", "workload", "condition"})
"""Probes that look at one object: a glob would name none, and what is not named is always absent."""


def whole(text: str) -> int | None:
    """Return a number from 1 on, as rule files write it; None when it is none. Zero would hold of everything."""
    return int(text) if _WHOLE.fullmatch(text) else None


def misfits(probe: str, params: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield every parameter whose value its probe can't read or can never find, with a sentence about it.

    An empty name stands for the parameters as a whole. What a probe does not know is not looked at.
    """
    for key, text in params.items():
        said = _READINGS.get((probe, key), _anything)(text)
        if said:
            yield key, said
    if "kind" in params:
        yield from _of_kind(probe, params["kind"])
    if probe in SINGLE:
        yield from _of_object(params)
    if probe == "release":
        yield from _of_release(params)


def near(word: str, known: Iterable[str]) -> str:
    """Return a hint at the known word that was meant, beginning with a comma; empty when none is like it."""
    found = get_close_matches(word, sorted(known), 1) or [each for each in known if each.lower() == word.lower()]
    return f", did you mean {found[0]!r}?" if found else ""


def _anything(_text: str) -> str:
    return ""


def _number(text: str) -> str:
    return "" if whole(text) is not None else f"should be a whole number from 1 on, not {text!r}"


def _pods(text: str) -> str:
    return "" if text == EVERY or whole(text) is not None else f"should be all or a number from 1 on, not {text!r}"


def _condition_type(text: str) -> str:
    return "" if text.strip() else "must not be empty: leave it out for Ready"


def _status(text: str) -> str:
    said = _one_of(STATUSES, text)
    return f"{said} Put it in quotes: YAML reads a boolean." if said and text in ("true", "false") else said


def _release_status(text: str) -> str:
    return _one_of(RELEASE_STATUSES, text)


def _one_of(words: tuple[str, ...], text: str) -> str:
    return "" if text in words else f"is never {text!r}, only {', '.join(words)}{near(text, words)}"


_READINGS: Mapping[tuple[str, str], Callable[[str], str]] = {
    ("exists", "at-least"): _number,
    ("workload", "ready"): _pods,
    ("condition", "type"): _condition_type,
    ("condition", "status"): _status,
    ("release", "status"): _release_status,
}


def _of_kind(probe: str, kind: str) -> Iterator[tuple[str, str]]:
    meant = kind_named(kind)
    if not _KIND.fullmatch(kind):
        yield "kind", f"should be one kind, such as HelmRelease, not {kind!r}"
    elif meant != kind:
        yield "kind", f"no kind is called {kind!r}, did you mean {meant!r}?"
    elif probe == "workload" and kind not in REPLICAS and kind_of(group_for_kind(kind), kind):
        yield "kind", f"{kind} has no pods that are counted, only {', '.join(sorted(REPLICAS))}"


def _of_object(params: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Tell of what names no single object."""
    if "kind" not in params:
        yield from ((key, f"says nothing without a kind: give kind beside {key}") for key in _named(params))
        return
    for key in _named(params):
        if _GLOB.search(params[key]):
            yield key, f"should be one object's, not the glob {params[key]!r}; the probe exists takes globs"
    if not params.get("name", "").strip():
        yield ("name" if "name" in params else ""), "which one? give a name beside kind"
    yield from _of_namespace(params["kind"], params.get("namespace", ""), given="namespace" in params)


def _of_namespace(kind: str, namespace: str, *, given: bool) -> Iterator[tuple[str, str]]:
    known = kind_of(group_for_kind(kind), kind)
    if known is not None and known.namespaced and not namespace.strip():
        yield ("namespace" if given else ""), f"a {kind} is in a namespace: say which"
    if known is not None and not known.namespaced and namespace:
        yield "namespace", f"a {kind} is in no namespace: write an empty text, in quotes"


def _of_release(params: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Tell of what names no single Helm release; without a name it is the incident's own."""
    named = [key for key in _named(params) if params[key].strip()]
    for key in named:
        if _GLOB.search(params[key]):
            yield key, f"should be one release's, not the glob {params[key]!r}"
    if len(named) == 1:
        yield named[0], "says nothing alone: give namespace and name of the Helm release, or neither"


def _named(params: Mapping[str, str]) -> list[str]:
    return [key for key in ("namespace", "name") if key in params]
