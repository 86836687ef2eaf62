"""What expressions and templates see of an object, each fact made when it is first read.

Limit: nothing here decides. `daemon/rules/scope.py` says which facts there are, and what an absent one looks like.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta

from daemon.engine.graph import owners_of
from daemon.engine.release import workloads_of
from daemon.engine.world import Known, World, elapsed
from daemon.flux.culprit import culprit_of
from daemon.flux.decode import parse
from daemon.model.objects import Condition, ObjectState
from daemon.model.refs import ObjectRef


class Facts(Mapping[str, object]):
    """Every fact about one object, by the name of its variable."""

    def __init__(self, world: World, known: Known, state: ObjectState) -> None:
        """Look at an object as rules see it."""
        self._given = world, known, state
        self._made: dict[str, object] = {}

    def __getitem__(self, name: str) -> object:
        """Return one fact."""
        if name not in self._made:
            self._made[name] = _FACTS[name](*self._given)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        """Yield the name of every fact."""
        return iter(_FACTS)

    def __len__(self) -> int:
        """Return how many facts there are."""
        return len(_FACTS)


def _culprit(_world: World, _known: Known, state: ObjectState) -> str:
    condition = state.ready
    return culprit_of(condition.message) if condition is not None and condition.status != "True" else ""


def _condition(condition: Condition | None) -> dict[str, str]:
    if condition is None:
        return {"status": "", "reason": "", "message": ""}
    return {"status": condition.status, "reason": condition.reason, "message": condition.message}


def _event(world: World, ref: ObjectRef) -> dict[str, str]:
    events = world.events.get(ref)
    if not events:
        return {"reason": "", "message": "", "type": ""}
    last = events[-1]
    return {"reason": last.reason, "message": last.message, "type": "Warning" if last.warning else "Normal"}


def _ref_facts(ref: ObjectRef | None) -> dict[str, str]:
    return {"kind": ref.kind, "namespace": ref.namespace, "name": ref.name} if ref is not None else {}


def _owner(world: World, ref: ObjectRef) -> dict[str, str]:
    """The object whose inventory holds this one, with the path in Git that it applies."""
    owners = owners_of(world, ref)
    known = world.known(owners[0]) if owners else None
    return {**_ref_facts(owners[0]), "path": known.state.path} if known is not None else {}


def _release(state: ObjectState) -> dict[str, str]:
    helm = state.helm
    if helm is None:
        return {}
    return {"name": helm.release, "namespace": helm.namespace, "chart": helm.chart, "version": helm.version}


def _named(world: World, ref: ObjectRef) -> dict[str, str]:
    return {"kind": ref.kind, "namespace": ref.namespace, "name": ref.name, "health": world.health(ref).value}


def _workload(world: World, state: ObjectState) -> dict[str, int]:
    """Sum up the replicas of the object itself, or of the workloads its release owns."""
    states = [state] if state.replicas else [world.objects[ref].state for ref in sorted(workloads_of(world, state))]
    counts = [each.replicas for each in states if each.replicas]
    return {
        "desired": sum(count.desired for count in counts),
        "ready": sum(count.ready for count in counts),
        "updated": sum(count.updated for count in counts),
        "available": sum(count.available for count in counts),
    }


_FACTS: Mapping[str, Callable[[World, Known, ObjectState], object]] = {
    "object": lambda _world, _known, state: lambda: parse(state.text) if state.text else {},
    "old": lambda _world, known, _state: lambda: parse(known.before) if known.before else {},
    "cluster": lambda _world, _known, state: state.ref.cluster,
    "culprit": _culprit,
    "revision": lambda _world, _known, state: (
        state.attempted_revision or state.applied_revision or state.artifact_revision
    ),
    "source": lambda _world, _known, state: _ref_facts(state.source),
    "owner": lambda world, _known, state: _owner(world, state.ref),
    "release": lambda _world, _known, state: _release(state),
    "event": lambda world, _known, state: _event(world, state.ref),
    "health": lambda _world, known, _state: known.health.value,
    "failing_for": lambda world, known, _state: timedelta(seconds=elapsed(known.failing_since, world.now)),
    "ready": lambda _world, _known, state: _condition(state.ready),
    "stalled": lambda _world, _known, state: _condition(state.condition("Stalled")),
    "ref": lambda _world, _known, state: _ref_facts(state.ref),
    "suspended": lambda _world, _known, state: state.suspended,
    "dependencies": lambda world, _known, state: [_named(world, each.ref) for each in state.depends_on],
    "dependents": lambda world, _known, state: [
        _named(world, each) for each in sorted(world.dependents.get(state.ref, ()))
    ],
    "workload": lambda world, _known, state: _workload(world, state),
}
