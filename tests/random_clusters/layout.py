"""What stands in a random cluster, and what a commit asks of it.

Order in `units` is the order in which a person would have added them: a unit needs only earlier ones, and never one
that waits for it, so a cluster without faults always gets ready. Faults break that on purpose.
"""

from dataclasses import dataclass, field, replace
from random import Random

from tests.random_clusters.api import Key

WORDS = [
    "atlas", "bridge", "cobalt", "delta", "ember", "falcon", "garnet", "harbor", "indigo",
    "jasper", "krypton", "lagoon", "magnet", "nickel", "onyx", "pepper", "quartz", "raven",
    "saffron", "topaz", "umber", "velvet", "willow", "xenon", "yarrow", "zephyr", "acorn",
    "birch", "cedar", "drift", "elder", "fjord", "glade", "heron", "iris",
]  # fmt: skip


@dataclass(frozen=True)
class Wish:
    """What the tree of one commit says of one unit."""

    version: int = 1
    trouble: str = ""
    """"" or one of faults.py: what this content does when it is tried."""
    needs: tuple[Key, ...] = ()
    source: Key | None = None


@dataclass
class Unit:
    """One applier: a Kustomization with an own Deployment or with children, or a HelmRelease with its Deployment."""

    key: Key
    source: Key
    """Its GitRepository, or the HelmRepository of its chart."""
    parent: "Unit | None"
    wait: bool = False
    bare: bool = False
    """It applies children only."""
    children: list["Unit"] = field(default_factory=list)
    suspended: bool = False

    @property
    def workload(self) -> Key:
        """Return its Deployment."""
        return ("Deployment", self.key[1], self.key[2])

    @property
    def tree(self) -> Key:
        """Return the GitRepository whose commits say what this unit is."""
        return self.parent.tree if self.parent is not None else self.source


@dataclass
class Layout:
    """All units, and for each GitRepository its commits: a commit is a whole tree."""

    units: list[Unit]
    commits: dict[Key, list[dict[Key, Wish]]]

    def unit(self, key: Key) -> Unit:
        """Return the unit of a key."""
        return next(unit for unit in self.units if unit.key == key)

    def push(self, changes: dict[Key, Wish]) -> set[Key]:
        """Add one commit to each GitRepository that these changes touch; return which."""
        touched = {self.unit(key).tree for key in changes}
        for source in touched:
            tree = dict(self.commits[source][-1])
            tree.update({key: wish for key, wish in changes.items() if self.unit(key).tree == source})
            self.commits[source].append(tree)
        return touched

    def wish(self, key: Key) -> Wish:
        """Return what the newest commit says of a unit."""
        return self.commits[self.unit(key).tree][-1][key]

    def renewed(self, key: Key, trouble: str = "") -> Wish:
        """Return the next version of a unit."""
        wish = self.wish(key)
        return replace(wish, version=wish.version + 1, trouble=trouble)


def random_layout(random: Random) -> Layout:
    """Return a cluster of one to three teams, each with its own source."""
    names = random.sample(WORDS, len(WORDS))
    layout = Layout([], {})
    for _ in range(random.randint(1, 3)):
        _team(layout, random, names)
    for unit in layout.units:
        tree = layout.commits[unit.tree][0]
        tree[unit.key] = Wish(needs=_needs(layout, random, unit), source=unit.source)
    return layout


def _team(layout: Layout, random: Random, names: list[str]) -> None:
    namespace = f"{names.pop()}-system" if random.random() < 0.3 else names.pop()
    git, charts = ("GitRepository", namespace, names.pop()), ("HelmRepository", namespace, "charts")
    layout.commits[git] = [{}]
    top = Unit(("Kustomization", namespace, names.pop()), git, None, wait=random.random() < 0.3, bare=True)
    layout.units.append(top)
    for _ in range(random.randint(1, 4)):
        _add(layout, top, Unit(("Kustomization", namespace, names.pop()), git, top, wait=random.random() < 0.8))
    if random.random() < 0.6:
        releases = Unit(("Kustomization", namespace, names.pop()), git, top, wait=random.random() < 0.6, bare=True)
        _add(layout, top, releases)
        for _ in range(random.randint(1, 3)):
            _add(layout, releases, Unit(("HelmRelease", namespace, names.pop()), charts, releases))


def _add(layout: Layout, parent: Unit, unit: Unit) -> None:
    parent.children.append(unit)
    layout.units.append(unit)


def _needs(layout: Layout, random: Random, unit: Unit) -> tuple[Key, ...]:
    """Return up to two earlier units of its kind that do not wait for it, however far above."""
    earlier = layout.units[: layout.units.index(unit)]
    above = set()
    parent = unit.parent
    while parent is not None:
        above.add(parent.key)
        parent = parent.parent
    if unit.parent is None:
        return ()  # what is at the top begins at once; its children may wait for other teams
    possible = [each.key for each in earlier if each.key[0] == unit.key[0] and each.key not in above]
    possible = [key for key in possible if layout.unit(key).parent is not None]
    return tuple(random.sample(possible, min(len(possible), random.choice((0, 0, 1, 1, 2)))))
