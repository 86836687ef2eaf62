"""From four bare processes to a cluster with Flux that is ready for a story: CRDs, nodes, namespace, controllers.

The order is that of a real installation; each thing is waited for by its own sign of being ready.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.cluster.api import Api, ApiError, connected
from tests.cluster.build import Toolbox
from tests.cluster.eventually import eventually
from tests.cluster.plane import FLUX, NODE_LABEL, NODES, Plane, running_base


@asynccontextmanager
async def running_plane(toolbox: Toolbox, folder: Path | None = None) -> AsyncIterator[tuple[Plane, Api]]:
    """Run a whole control plane with Flux, and stop it at the end."""
    with running_base(toolbox, folder) as plane:
        async with connected(plane.kubeconfig) as api:
            await _install(plane, api)
            plane.record()
            yield plane, api


async def install_crds(plane: Plane, api: Api) -> None:
    """Apply Flux's CRDs and wait until their kinds are served."""
    await api.apply_files(plane.toolbox.crds)

    async def established() -> str:
        found = await api.list("CustomResourceDefinition")
        late = [each["metadata"]["name"] for each in found if not _is(each, "Established")]
        return ", ".join(late)

    await eventually("every CRD to be Established", established, lambda late: late == "", within=30)


async def _install(plane: Plane, api: Api) -> None:
    await install_crds(plane, api)
    await api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}})
    for index in range(NODES):
        name = f"node-{index}"
        await api.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {NODE_LABEL: name}}})
        plane.start(name)

    async def nodes() -> int:
        return sum(_is(each, "Ready") for each in await api.list("Node"))

    await eventually("every node to be Ready", nodes, lambda ready: ready == NODES, within=30)

    async def account() -> bool:
        try:
            return await api.get("ServiceAccount", "flux-system", "default") is not None
        except ApiError:
            return False

    await eventually("the controller manager to make service accounts", account, bool, within=30)
    for name in FLUX:
        plane.start(name)
        await asyncio.sleep(0)


def _is(raw: dict[str, object], kind: str) -> bool:
    status = raw.get("status")
    conditions = (status.get("conditions") or []) if isinstance(status, dict) else []
    return any(each["type"] == kind and each["status"] == "True" for each in conditions)
