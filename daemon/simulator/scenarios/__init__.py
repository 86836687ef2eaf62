"""Incidents as data: who is in the cluster, what is pushed when, what goes wrong."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from daemon.model.ports import Clock
from daemon.simulator.scenarios import healthy_push, image_pull, seed_cilium
from daemon.simulator.server import SimulatedCluster


@dataclass(frozen=True, slots=True)
class Scenario:
    """One story. `prepare` builds the healthy cluster at once; `play` takes `duration` seconds at most."""

    name: str
    title: str
    prepare: Callable[[SimulatedCluster], None]
    play: Callable[[SimulatedCluster, Clock], Awaitable[None]]
    duration: float


_ALL = (
    Scenario("seed-cilium", seed_cilium.TITLE, seed_cilium.prepare, seed_cilium.play, seed_cilium.DURATION),
    Scenario("image-pull", image_pull.TITLE, image_pull.prepare, image_pull.play, image_pull.DURATION),
    Scenario("healthy-push", healthy_push.TITLE, healthy_push.prepare, healthy_push.play, healthy_push.DURATION),
)

SCENARIOS: Mapping[str, Scenario] = MappingProxyType({one.name: one for one in _ALL})
"""Every scenario by name."""
