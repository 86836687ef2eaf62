"""Objects from a file through the real core: what each rule says of them, clause by clause, without a cluster.

What the file does not hold does not exist: a dependency that is not in it counts as missing.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from daemon.engine.view import WorldView
from daemon.engine.world import Limits
from daemon.flux.decode import Raw, signal_of
from daemon.flux.fields import mapping, sequence
from daemon.model.documents import API_VERSION, Document
from daemon.model.errors import ConfigError, Problem
from daemon.model.signals import ObjectChanged, Signal, Tick
from daemon.replay.replay import TARGETS, Player
from daemon.rules.ruleset import RuleSet

CLUSTER = "default"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
"""When the objects are first seen: any moment does, time only passes from it on."""


def evaluate(documents: Iterable[object], ruleset: RuleSet, *, after: float = 0.0, name: str = "objects") -> Document:
    """Return an Explanation for each object, as it is `after` so many seconds; lists are taken apart.

    Raises ConfigError when a document is no object, or when there is none.
    """
    signals: list[Signal] = []
    for number, raw in enumerate(_objects(documents), start=1):
        try:
            signal = signal_of(raw, CLUSTER, BEGIN)
        except ValueError as error:
            raise ConfigError(Problem(str(error), file=name, path=f"object {number}")) from error
        signals += [signal] if signal is not None else []
    changed = [signal.new for signal in signals if isinstance(signal, ObjectChanged)]
    if not changed:
        raise ConfigError(Problem("there is no object that rules could be about", file=name))
    player = Player(Limits(cluster=CLUSTER, targets=TARGETS), ruleset)
    player.world.awake = True
    for signal in signals:
        player.play(signal)
    end = BEGIN + timedelta(seconds=after)
    player.run_until(end)
    player.play(Tick(end))
    view = WorldView(player.world)
    return {
        "apiVersion": API_VERSION,
        "kind": "ExplanationList",
        "items": [dict(view.why(each.ref)) for each in changed],
    }


def _objects(documents: Iterable[object]) -> Iterable[Raw]:
    for document in documents:
        raw = mapping(document)
        if str(raw.get("kind", "")).endswith("List") and "items" in raw:
            yield from (mapping(item) for item in sequence(raw["items"]))
        elif document is not None:
            yield raw
