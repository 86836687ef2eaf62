"""Objects from a file through the real core: what each rule says of them, clause by clause, without a cluster.

What the file does not hold does not exist: a dependency that is not in it counts as missing. Time passes as in the
daemon, tick by tick. Limit: nothing is heard meanwhile, so no detector of a silence amid other news can speak.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from daemon.engine.view import WorldView
from daemon.engine.world import Limits
from daemon.flux.decode import Raw, signal_of
from daemon.flux.fields import mapping, sequence
from daemon.flux.kinds import WATCHED, resource_of
from daemon.model.documents import API_VERSION, Document
from daemon.model.errors import ConfigError, Problem
from daemon.model.signals import EventSeen, ObjectChanged, Signal, Synced, Tick
from daemon.replay.replay import TARGETS, Player
from daemon.rules.ruleset import RuleSet

CLUSTER = "default"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
"""When the objects are first seen: any moment does, time only passes from it on."""
LISTED = tuple(resource_of(kind) for kind in WATCHED)
"""What the daemon lists in full before it judges: of these kinds, what was not in a list is known to be missing."""


def evaluate(documents: Iterable[object], ruleset: RuleSet, *, after: float = 0.0, name: str = "objects") -> Document:
    """Return an Explanation for each object, as it is `after` so many seconds; lists are taken apart.

    Raises ConfigError when a document is no object, or when there is none.
    """
    signals = list(_signals(documents, name))
    changed = [signal.new for signal in signals if isinstance(signal, ObjectChanged)]
    if not changed:
        raise ConfigError(Problem("there is no object that rules could be about", file=name))
    player = Player(Limits(cluster=CLUSTER, targets=TARGETS, expected=frozenset(LISTED)), ruleset)
    for signal in _as_listed(signals):
        player.play(signal)
    player.play(Tick(BEGIN + timedelta(seconds=after)))
    view = WorldView(player.world)
    return {
        "apiVersion": API_VERSION,
        "kind": "ExplanationList",
        "items": [dict(view.why(each.ref)) for each in changed],
    }


def _signals(documents: Iterable[object], name: str) -> Iterable[Signal]:
    for number, raw in enumerate(_objects(documents), start=1):
        try:
            signal = signal_of(raw, CLUSTER, BEGIN, initial=True)
        except ValueError as error:
            raise ConfigError(Problem(str(error), file=name, path=f"object {number}")) from error
        if signal is not None:
            yield signal


def _as_listed(signals: Iterable[Signal]) -> Iterable[Signal]:
    """Yield what stands in the lists, the end of each list, then the events: what was before we came is no news."""
    events: list[Signal] = []
    for signal in signals:
        if isinstance(signal, EventSeen):
            events.append(signal)
        else:
            yield signal
    yield from (Synced(BEGIN, resource) for resource in LISTED)
    yield from events


def _objects(documents: Iterable[object]) -> Iterable[Raw]:
    for document in documents:
        raw = mapping(document)
        if str(raw.get("kind", "")).endswith("List") and "items" in raw:
            yield from (mapping(item) for item in sequence(raw["items"]))
        elif document is not None:
            yield raw
