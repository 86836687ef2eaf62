"""A commit names an image that does not exist; two Kustomizations wait on the one that cannot roll out.

The old pods keep serving, so only the health check shows it. A later commit names an image that exists.
"""

from typing import Any

from daemon.model.ports import Clock
from daemon.simulator.flux.workloads import Trouble
from daemon.simulator.scenarios import parts
from daemon.simulator.server import SimulatedCluster

Json = dict[str, Any]

TITLE = "An image that does not exist: one Kustomization cannot roll out, two wait on it"
DURATION = 240.0
"""Seconds until the story is over."""
AGE = 200.0
"""Seconds that the cluster has lived when the story begins."""

REPOSITORY = "registry.example.com/shop"
ROOT = "apps/production"


def _app(tag: str) -> list[Json]:
    return [parts.deployment("shop", "catalogue-api", f"{REPOSITORY}/catalogue:{tag}", replicas=2)]


def _tree() -> dict[str, list[Json]]:
    rows = [
        parts.namespace("shop"),  # once, above all that are in it: two appliers of one Namespace fight for its labels
        parts.kustomization("catalogue", f"{ROOT}/catalogue", wait=True),
        parts.kustomization("checkout", f"{ROOT}/checkout", "catalogue", wait=True),
        parts.kustomization("shop-front", f"{ROOT}/shop-front", "checkout", wait=True),
        parts.kustomization("status-page", f"{ROOT}/status-page", wait=True),
    ]
    tree = {ROOT: rows, f"{ROOT}/catalogue": _app("2.4.1")}
    for name in ("checkout", "shop-front", "status-page"):
        tree[f"{ROOT}/{name}"] = [parts.deployment("shop", name, f"{REPOSITORY}/{name}:1.9.0")]
    return tree


def prepare(cluster: SimulatedCluster) -> None:
    """Build the healthy cluster."""
    cluster.clock.behind = AGE
    parts.add_nodes(cluster, "worker")
    parts.add_notifications(cluster)
    image = f"{REPOSITORY}/catalogue:2.5.0-rc9"
    missing = f'Back-off pulling image "{image}": ErrImagePull: rpc error: code = NotFound: {image}: not found'
    cluster.controllers.workloads.troubles.append(
        Trouble(lambda spec: any(one["image"] == image for one in spec["containers"]), "ImagePullBackOff", missing)
    )
    cluster.push("feat: the shop", _tree())
    cluster.put(parts.git_repository("ssh://git@git.example.com/shop/apps"))
    cluster.put(parts.kustomization("apps", ROOT))
    cluster.settle(AGE)


async def play(cluster: SimulatedCluster, clock: Clock) -> None:
    """Let it happen, and be repaired by a commit."""
    await clock.sleep(5.0)
    cluster.push("feat(catalogue): release 2.5.0", {f"{ROOT}/catalogue": _app("2.5.0-rc9")})
    await clock.sleep(85.0)
    cluster.push("fix(catalogue): the image is called 2.5.0", {f"{ROOT}/catalogue": _app("2.5.0")})
