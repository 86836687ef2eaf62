"""Made-up clusters: what Flux would show of every object, and by a naive search why it would.

The rules are Flux's (flux.md 2.2 to 2.4, 7.1, 7.2) and owe nothing to daemon/engine: a Kustomization is asked for its
source, dependencies, build and health check in that order, a HelmRelease for its dependencies, chart and action.
Limits: no suspension, no readyExpr, no workloads, no repository that is down and still says that it is well;
everything that can become ready has had the time to.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from daemon.model.objects import Condition, ObjectState
from daemon.model.refs import ObjectRef
from tests.builders import Cluster, failing, helm, needs, ready, ref, unhealthy, waiting

RESOURCES = (
    "kustomizations.kustomize.toolkit.fluxcd.io",
    "helmreleases.helm.toolkit.fluxcd.io",
    "gitrepositories.source.toolkit.fluxcd.io",
    "helmrepositories.source.toolkit.fluxcd.io",
    "helmcharts.source.toolkit.fluxcd.io",
)
FAULTS = {
    "empty": failing("GitOperationFailed", "failed to checkout and determine revision: no such branch"),
    "stale": failing("GitOperationFailed", "failed to checkout and determine revision: bad object"),
    "down": failing("IndexationFailed", "failed to fetch Helm repository index: 500 Internal Server Error"),
    "build": failing("BuildFailed", "kustomize build failed: no such file"),
    "check": unhealthy("Deployment/apps/server"),
    "upgrade": failing("UpgradeFailed", "Helm upgrade failed for release apps/x with chart x@1: bad manifest"),
    "chart": failing("ChartPackageError", "packaging failed"),
    "reference": failing("InvalidChartReference", "no chart version found for x-9.9.9"),
}
"""What is wrong with an object itself, as it shows. An "empty" repository never had an artifact; a "stale" one keeps
its last."""
NO_CHART = failing("ChartPullError", "failed to fetch the chart: 500 Internal Server Error")
NO_ARTIFACT = failing("ArtifactFailed", "Source artifact not found, retrying in 30s")
NO_SOURCE = failing("ArtifactFailed", 'GitRepository.source.toolkit.fluxcd.io "nowhere" not found')
DELIVERING = ("", "stale")


@dataclass(frozen=True)
class Thing:
    """One object, named as Kind/name: what its spec names the same way, and what is wrong with itself."""

    key: str
    fault: str = ""
    source: str = ""
    needs: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()
    """What it applied."""
    waits: bool = False

    @property
    def kind(self) -> str:
        """Return the kind of its key."""
        return self.key.partition("/")[0]


def where(key: str) -> ObjectRef:
    """Return the ref behind Kind/name."""
    return ref(*key.split("/"))


def key_of(found: ObjectRef) -> str:
    """Return Kind/name of a ref."""
    return f"{found.kind}/{found.name}"


def closure(start: str, edges: Callable[[str], Iterable[str]]) -> frozenset[str]:
    """Return everything that is reached from here, itself included."""
    found = {start}
    while more := {other for each in found for other in edges(each)} - found:
        found |= more
    return frozenset(found)


class Truth:
    """A cluster at rest: who can be ready, what each object shows, and what is behind it."""

    def __init__(self, things: Iterable[Thing]) -> None:
        """Let everything become ready that can."""
        self.things: Mapping[str, Thing] = {thing.key: thing for thing in things}
        self.ready: set[str] = set()
        while more := {key for key in self.things if not self.stops(key)} - self.ready:
            self.ready |= more

    @property
    def unwell(self) -> set[str]:
        """Return everything that shows that it is not ready."""
        return set(self.things) - self.ready

    def stops(self, key: str) -> list[tuple[str, tuple[str, ...]]]:
        """Return where an object is stuck, in the order in which Flux asks: (stage, because of what)."""
        thing = self.things[key]
        unmet = tuple(each for each in thing.needs if each not in self.ready)
        awaited = tuple(each for each in thing.holds if thing.waits and each not in self.ready and each != key)
        stages = [("dependency", unmet)] if unmet else []
        if thing.source and not self._delivers(thing.source):
            stages.insert(len(stages) if thing.kind == "HelmRelease" else 0, ("source", (thing.source,)))
        if thing.fault in FAULTS:
            stages.append(("own", ()))
        return [*stages, ("check", awaited)] if awaited else stages

    def condition(self, key: str) -> Condition:
        """Return the Ready condition that Flux would write."""
        if key in self.ready:
            return ready()
        stage, because = self.stops(key)[0]
        place = "".join(because[:1]).partition("/")[2]
        match stage, self.things[key].kind:
            case "own", _:
                return FAULTS[self.things[key].fault]
            case "check", _:
                return unhealthy(*(each.replace("/", "/apps/") for each in because))
            case "dependency", _:
                why = "is not ready" if because[0] in self.things else f'not found: "{place}"'
                return waiting(f"apps/{place}", why)
            case _, "HelmRelease":
                why = self.condition(because[0]).message
                return failing("SourceNotReady", f"HelmChart 'apps/{place}' is not ready: {why}")
        missing = NO_ARTIFACT if because[0] in self.things else NO_SOURCE
        return NO_CHART if key.startswith("HelmChart/") else missing

    def state(self, cluster: Cluster, key: str, condition: Condition | None = None) -> ObjectState:
        """Return an object's next state, at rest or with another condition."""
        thing = self.things[key]
        more: dict[str, Any] = {"helm": helm(where(key).name)} if thing.kind == "HelmRelease" else {}
        kind, _, name = key.partition("/")
        return cluster.state(
            kind,
            name,
            condition or self.condition(key),
            source=where(thing.source) if thing.source else None,
            depends_on=needs(*map(where, thing.needs)),
            contains=tuple(sorted(map(where, thing.holds))),
            wait=thing.waits,
            artifact_revision="main@sha1:abc" if thing.kind == "GitRepository" and thing.fault in DELIVERING else "",
            **more,
        )

    def ring(self, key: str) -> frozenset[str]:
        """Return all that this object waits for and that wait for it; nothing outside of a ring."""
        return frozenset(each for each in self._beyond(key, self._awaited) if key in self._beyond(each, self._awaited))

    def reach(self, key: str) -> frozenset[str]:
        """Return everything that an object waits for over however many others, itself included."""
        return closure(key, self._awaited)

    def behind(self, key: str) -> set[frozenset[str]]:
        """Return what an object may be blamed on: what fails by itself, and rings, over all that it waits for."""
        found = set()
        for each in closure(key, self._causes):
            if ring := self.ring(each):
                found.add(ring)
            if not self._causes(each):
                found.add(self._alike(each))
        return found

    def told(self, key: str) -> set[frozenset[str]]:
        """Return what it must be blamed on: what is behind the one stage at which Flux stopped, or the ring it is in.

        A ring of which a member shows something else at present may be blamed on either.
        """
        found = set()
        for each in closure(key, self._told_causes):
            ring = self.ring(each)
            if ring and all(ring & set(self._first(member)) for member in ring):
                found.add(ring)
            elif not ring and not self._told_causes(each):
                found.add(self._alike(each))
        return found

    def _lacks(self, key: str) -> set[str]:
        thing = self.things[key]
        return {*thing.needs, thing.source} - {""} - set(self.things)

    def _alike(self, key: str) -> frozenset[str]:
        """Return who may stand for an object that fails by itself: of those that lack the same thing, any."""
        return closure(key, lambda each: [other for other in self.things if self._lacks(each) & self._lacks(other)])

    def is_wrong(self, key: str) -> bool:
        """Say whether the spec asks for what is not there: no other object is to blame."""
        chart = self.things.get(self.things[key].source)
        return bool(self._lacks(key)) or (
            chart is not None and chart.fault == "reference" and self.stops(chart.key)[0][0] == "own"
        )

    def _first(self, key: str) -> tuple[str, ...]:
        """Return the causes that its one condition speaks of; of dependencies all, though Flux names the first."""
        thing, stops = self.things[key], self.stops(key)
        if not stops or self.is_wrong(key):
            return ()
        stage, because = stops[0]
        if stage == "own":
            return tuple(k for k, t in self.things.items() if t.source == key and thing.fault == "reference")
        return because

    def _causes(self, key: str) -> tuple[str, ...]:
        """Return all that it waits for, whatever its condition speaks of; what fails by itself waits for nothing."""
        first = self._first(key)
        return self._awaited(key) if first and self.stops(key)[0][0] != "own" else first

    def _told_causes(self, key: str) -> tuple[str, ...]:
        return () if self.ring(key) else self._first(key)

    def _awaited(self, key: str) -> tuple[str, ...]:
        return tuple(each for _, because in self.stops(key) for each in because if each in self.things)

    def _beyond(self, key: str, edges: Callable[[str], Iterable[str]]) -> frozenset[str]:
        return frozenset().union(*(closure(each, edges) for each in edges(key)))

    def _delivers(self, source: str) -> bool:
        if source not in self.things or source.startswith("HelmChart/"):
            return source in self.ready
        return self.things[source].fault in DELIVERING


def _some(draw: st.DrawFn, names: list[str], most: int) -> tuple[str, ...]:
    return tuple(draw(st.lists(st.sampled_from(names), max_size=most, unique=True)))


@st.composite
def clusters(draw: st.DrawFn, rings: bool = True) -> list[Thing]:
    """Return up to a dozen objects with edges of every kind, and some of them broken."""

    def keys(kind: str, least: int, most: int) -> list[str]:
        names = draw(st.permutations("abcdef"))
        return [f"{kind}/{name}" for name in names[: draw(st.integers(least, most))]]

    def fault(*faults: str) -> str:
        return draw(st.sampled_from(["", "", "", *faults]))

    gits, applied = keys("GitRepository", 1, 2), keys("Kustomization", 1, 6)
    repositories, releases = keys("HelmRepository", 1, 2), keys("HelmRelease", 0, 3)
    repositories = repositories if releases else []
    parents = {
        each: draw(st.sampled_from(["", *applied[:index]]))
        for index, each in enumerate([*applied, *releases, *gits, *repositories])
    }
    things = [Thing(each, fault("empty", "stale")) for each in gits]
    things += [Thing(each, fault("down")) for each in repositories]
    for index, key in enumerate(releases):
        chart = f"HelmChart/apps-{where(key).name}"
        others = [*(releases if rings else releases[:index]), "HelmRelease/nowhere"]
        things.append(Thing(chart, fault("chart", "reference"), draw(st.sampled_from(repositories))))
        things.append(Thing(key, fault("upgrade"), chart, _some(draw, others, 2)))
    for index, key in enumerate(applied):
        holds = tuple(each for each, parent in parents.items() if parent == key)
        others = [*(applied if rings else applied[:index]), "Kustomization/nowhere"]
        faults = ("build", "build") if holds else ("build", "check")
        itself = (key,) if not parents[key] and draw(st.booleans()) else ()
        source = draw(st.sampled_from([*gits * 3, "GitRepository/nowhere"]))
        needed, waits = _some(draw, others, 3), draw(st.booleans())
        things.append(Thing(key, fault(*faults), source, needed, (*holds, *itself), waits))
    return things
