"""Two ordinary releases through a chain of Kustomizations: dependents wait their turn and nothing is wrong."""

from typing import Any

from daemon.model.ports import Clock
from daemon.simulator.scenarios import parts
from daemon.simulator.server import SimulatedCluster

Json = dict[str, Any]

TITLE = "Two healthy releases: dependents wait their turn and nothing must be said"
DURATION = 180.0
"""Seconds until the story is over."""
AGE = 300.0
"""Seconds that the cluster has lived when the story begins."""

ROOT = "clusters/staging"
CHAIN = (
    ("network", ()),
    ("storage", ("network",)),
    ("database", ("storage",)),
    ("api", ("database",)),
    ("web", ("network",)),
)


def _part(name: str, tag: str) -> list[Json]:
    return [
        parts.namespace(name),
        parts.deployment(name, name, f"registry.example.com/staging/{name}:{tag}", replicas=2),
    ]


def prepare(cluster: SimulatedCluster) -> None:
    """Build the healthy cluster."""
    cluster.clock.behind = AGE
    parts.add_nodes(cluster, "staging")
    parts.add_notifications(cluster)
    rows = [parts.kustomization(name, f"{ROOT}/{name}", *needs, wait=True) for name, needs in CHAIN]
    tree = {ROOT: rows} | {f"{ROOT}/{name}": _part(name, "1.0.0") for name, _ in CHAIN}
    cluster.push("feat: staging", tree)
    cluster.put(parts.git_repository("ssh://git@git.example.com/platform/staging"))
    cluster.put(parts.kustomization("staging", ROOT))
    cluster.settle(AGE)


async def play(cluster: SimulatedCluster, clock: Clock) -> None:
    """Release twice."""
    await clock.sleep(5.0)
    cluster.push("feat: release 1.1.0", {f"{ROOT}/{name}": _part(name, "1.1.0") for name, _ in CHAIN})
    await clock.sleep(60.0)
    cluster.push("fix(web): release 1.1.1", {f"{ROOT}/web": _part("web", "1.1.1")})
