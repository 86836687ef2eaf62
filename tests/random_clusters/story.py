"""A story: a random cluster gets well, is broken by faults whose cause we know, and is repaired or not.

The truth is kept by the pretended controllers themselves: whom each failing object waited for. What a fault never came
to do (a unit behind another fault is never tried) is no part of it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

from tests.random_clusters.api import Api, Key
from tests.random_clusters.controllers import Flux
from tests.random_clusters.layout import Unit, Wish, random_layout
from tests.random_clusters.workloads import is_ready

BROKEN, MENDED, END = 60.0, 660.0, 1260.0
"""Seconds after all is well, when the watch begins: faults come, repairs come, the recording ends."""
SETTLES = range(240, 1500, 60)
"""Seconds after which it may be: a deep cluster takes some levels to begin."""
SHOWN = 60.0
"""Who failed less than this before the end of the fault is not asked for."""
Keys = frozenset[Key]


@dataclass(frozen=True)
class Fault:
    """Something broken on purpose: where, and what may be called its root."""

    kind: str
    roots: Keys
    repair: Callable[[], None]


@dataclass(frozen=True)
class Truth:
    """One incident that must be found."""

    fault: str
    roots: Keys
    members: Keys
    never: Keys


@dataclass
class Story:
    """A recording and its truth."""

    seed: int
    lines: list[str] = field(default_factory=list)
    truths: list[Truth] = field(default_factory=list)
    optional: Keys = frozenset()
    """Roots of faults that did not show long enough to be asked for."""
    repaired: bool = False
    faults: tuple[str, ...] = ()


class Teller:
    """Makes one story of one seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.layout = random_layout(self.random)
        self.api = Api(self.random)
        self.flux = Flux(self.api, self.layout)
        self.story = Story(seed)
        self.changes: dict[Key, Wish] = {}
        self.begin = 0.0

    def tell(self) -> Story:
        """Return the story."""
        self.flux.start()
        self.begin = next(seconds for seconds in SETTLES if self._is_ready_at(seconds))
        self.api.lines.clear()
        self.api.relist()
        faults = self._break()
        self.api.until(self.begin + MENDED)
        self._judge(faults)
        if self.random.random() < 0.7:
            self.story.repaired = True
            self._mend(faults)
        self.api.until(self.begin + END)
        self.story.lines = self.api.lines
        return self.story

    def _is_ready_at(self, seconds: float) -> bool:
        self.api.until(seconds)
        return all(is_ready(self.api.get(unit.key)) for unit in self.layout.units)

    def _break(self) -> list[Fault]:
        kinds = self.random.choices(list(FAULTS), k=self.random.choice((0, 1, 1, 1, 1, 2, 2)))
        faults = []
        taken: set[Key] = set()
        for kind in kinds:
            fault = FAULTS[kind](self, taken)
            if fault is not None:
                faults.append(fault)
                taken |= fault.roots
        pushed = [unit for unit in self.layout.units if not unit.bare and unit.key not in self.changes]
        for unit in self.random.sample(pushed, self.random.randint(0, len(pushed))):
            self.changes[unit.key] = self.layout.renewed(unit.key)
        self.api.until(self.begin + BROKEN)
        self._push()
        self.story.faults = tuple(fault.kind for fault in faults)
        return faults

    def _mend(self, faults: list[Fault]) -> None:
        for fault in faults:
            fault.repair()
        self._push()

    def _push(self) -> None:
        self.flux.wake(sorted(self.layout.push(self.changes)))
        self.changes = {}

    def _judge(self, faults: list[Fault]) -> None:
        """Write the truth: who suffers now, from which fault alone, and who could not suffer from it at all."""
        all_keys = frozenset(unit.key for unit in self.layout.units) | set(self.layout.commits)
        touching = {unit.key: self._touching(unit) for unit in self.layout.units}
        shown = {key for key, since in self.flux.failing.items() if (self.api.now - since).total_seconds() >= SHOWN}
        roots = frozenset[Key]().union(*(fault.roots for fault in faults))
        optional: set[Key] = set()
        for fault in faults:
            others = roots - fault.roots
            reached = {key for key in all_keys if self.flux.behind(key, touching) & fault.roots}
            if not self._has_shown(fault, shown):
                optional |= fault.roots
                continue
            suffer = {key for key in shown & all_keys if self.flux.behind(key, self.flux.blame) & fault.roots}
            members = {key for key in suffer if not self.flux.behind(key, touching) & others}
            never = (
                all_keys - reached - {key for key in all_keys if self.flux.behind(key, self.flux.ever) & fault.roots}
            )
            self.story.truths.append(Truth(fault.kind, fault.roots, frozenset(members) - fault.roots, frozenset(never)))
        self.story.optional = frozenset(optional)

    def _touching(self, unit: Unit) -> set[Key]:
        """Return what could hold up a unit: its source, what it depends on, and what it waits for."""
        children = {child.key for child in unit.children} if unit.wait else set()
        return {unit.source, *self.layout.wish(unit.key).needs, *children}

    def _has_shown(self, fault: Fault, shown: set[Key]) -> bool:
        """A fault has shown when its root fails by itself, or somebody waits for it in vain."""
        if fault.kind == "suspended":
            return any(self.flux.blame[key] & fault.roots for key in shown)
        if fault.kind == "cycle":  # its roots wait for each other
            return any(self.flux.blame[key] & fault.roots for key in shown & fault.roots)
        return any(key in self.flux.blame[key] for key in shown & fault.roots)

    # faults

    def pick(self, taken: set[Key], wanted: Callable[[Unit], bool]) -> Unit | None:
        """Return a random unit of this kind that no other fault is at."""
        found = [unit for unit in self.layout.units if unit.key not in taken | set(self.changes) and wanted(unit)]
        return self.random.choice(found) if found else None

    def content(self, kind: str, wanted: Callable[[Unit], bool]) -> Callable[[set[Key]], Fault | None]:
        """Return a fault that comes with a unit's content and goes with its next version."""

        def fault(taken: set[Key]) -> Fault | None:
            unit = self.pick(taken, wanted)
            if unit is None:
                return None
            self.changes[unit.key] = self.layout.renewed(unit.key, kind)
            return Fault(kind, frozenset({unit.key}), lambda: self.renew(unit.key))

        return fault

    def renew(self, key: Key, **fields: object) -> None:
        """Let the next commit carry a good version of a unit."""
        self.changes[key] = replace(self.layout.renewed(key), **fields)  # type: ignore[arg-type]


def _kustomization(unit: Unit) -> bool:
    return unit.key[0] == "Kustomization" and not unit.bare


def _checked(unit: Unit) -> bool:
    return _kustomization(unit) and unit.wait


def _release(unit: Unit) -> bool:
    return unit.key[0] == "HelmRelease"


def _denied(teller: Teller, taken: set[Key]) -> Fault | None:
    """A policy that denies what up to three Kustomizations apply: one cause, whoever was refused first."""
    denied: list[Unit] = []
    for _ in range(3):
        unit = teller.pick(taken | {each.key for each in denied}, _kustomization)
        if unit is not None:
            denied.append(unit)
            teller.changes[unit.key] = replace(teller.layout.renewed(unit.key), trouble="denied")

    def repair() -> None:
        for unit in denied:
            teller.renew(unit.key)

    return Fault("denied", frozenset(unit.key for unit in denied), repair) if denied else None


def _source_down(teller: Teller, taken: set[Key]) -> Fault | None:
    free = [key for key in teller.layout.commits if key not in taken]
    if not free:
        return None
    source = teller.random.choice(free)
    teller.flux.down.add(source)
    return Fault("source-down", frozenset({source}), lambda: teller.flux.down.discard(source))


def _server_busy(teller: Teller, taken: set[Key]) -> Fault | None:
    """The Git server answers 503: one cause, however many repositories it has."""
    served = [key for key in teller.layout.commits if key not in taken]
    teller.flux.busy.update(served)
    return Fault("server-busy", frozenset(served), teller.flux.busy.clear) if served else None


def _charts_down(teller: Teller, taken: set[Key]) -> Fault | None:
    unit = teller.pick(taken, _release)
    if unit is None or unit.source in taken:
        return None
    teller.flux.down.add(unit.source)

    def repair() -> None:
        teller.flux.down.discard(unit.source)
        teller.flux.wake([unit.source])

    return Fault("charts-down", frozenset({unit.source}), repair)


def _missing_need(teller: Teller, taken: set[Key]) -> Fault | None:
    unit = teller.pick(taken, lambda unit: unit.parent is not None and not unit.bare)
    if unit is None:
        return None
    before = teller.layout.wish(unit.key).needs
    nobody: Key = (unit.key[0], unit.key[1], f"no-{unit.key[2]}")  # who lacks the same would be one incident
    teller.changes[unit.key] = replace(teller.layout.renewed(unit.key), needs=(nobody, *before))
    return Fault("missing-need", frozenset({unit.key}), lambda: teller.renew(unit.key, needs=before))


def _missing_source(teller: Teller, taken: set[Key]) -> Fault | None:
    unit = teller.pick(taken, lambda unit: _kustomization(unit) and unit.parent is not None)
    if unit is None:
        return None
    gone = replace(teller.layout.renewed(unit.key), source=("GitRepository", unit.key[1], f"no-{unit.key[2]}"))
    teller.changes[unit.key] = gone
    return Fault("missing-source", frozenset({unit.key}), lambda: teller.renew(unit.key, source=unit.source))


def _cycle(teller: Teller, taken: set[Key]) -> Fault | None:
    second = teller.pick(taken, lambda unit: any(need not in taken for need in teller.layout.wish(unit.key).needs))
    if second is None:
        return None
    first = next(need for need in teller.layout.wish(second.key).needs if need not in taken)
    if first in teller.changes or teller.layout.unit(first).bare or second.bare:
        return None
    before = teller.layout.wish(first).needs
    teller.changes[first] = replace(teller.layout.renewed(first), needs=(second.key, *before))
    return Fault("cycle", _ring(teller, first), lambda: teller.renew(first, needs=before))


def _ring(teller: Teller, first: Key) -> Keys:
    """Return everybody that waits for this unit and for whom it waits, over however many others."""
    wishes = {unit.key: teller.changes.get(unit.key, teller.layout.wish(unit.key)) for unit in teller.layout.units}
    needs = {key: set(wish.needs) for key, wish in wishes.items()}
    return frozenset(key for key in teller.flux.behind(first, needs) if first in teller.flux.behind(key, needs))


def _suspended(teller: Teller, taken: set[Key]) -> Fault | None:
    unit = teller.pick(taken, lambda unit: _kustomization(unit) and unit.parent is not None)
    if unit is None:
        return None
    _suspend(teller, unit, stopped=True)
    others = [each for each in teller.layout.units if each.tree == unit.tree and each is not unit and not each.bare]
    for other in others[:1]:
        teller.changes.setdefault(other.key, teller.layout.renewed(other.key))
    return Fault("suspended", frozenset({unit.key}), lambda: _suspend(teller, unit, stopped=False))


def _suspend(teller: Teller, unit: Unit, *, stopped: bool) -> None:
    unit.suspended = stopped
    teller.api.put(unit.key, lambda body: body["spec"].update(suspend=stopped))
    if stopped:  # Flux takes note of it, and of nothing else
        observed = teller.api.objects[unit.key]["metadata"]["generation"]
        teller.api.put(unit.key, lambda body: body["status"].update(observedGeneration=observed))
    teller.flux.wake([unit.key])


FAULTS: dict[str, Callable[[Teller, set[Key]], Fault | None]] = {
    **{
        kind: lambda teller, taken, kind=kind, wanted=wanted: teller.content(kind, wanted)(taken)  # type: ignore[misc]
        for kind, wanted in {
            "build": _kustomization,
            "substitute": _kustomization,
            "invalid": _kustomization,
            "image": _checked,
            "crash": _checked,
            "schema": _release,
            "version": _release,
            "upgrade": _release,
        }.items()
    },
    "denied": _denied,
    "source-down": _source_down,
    "server-busy": _server_busy,
    "charts-down": _charts_down,
    "missing-need": _missing_need,
    "missing-source": _missing_source,
    "cycle": _cycle,
    "suspended": _suspended,
}


def tell(seed: int) -> Story:
    """Return the story of a seed: the same for the same seed."""
    return Teller(seed).tell()
