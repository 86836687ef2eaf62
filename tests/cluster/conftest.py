"""Fixtures of the cluster stories. `make cluster-test` sets them up; without its plane the stories are not collected.

A story gets a namespace of its own in the shared plane; one that breaks programs of the plane gets a plane of its own.
What a failing story leaves behind is kept in one folder, and the failure says where.
"""

import os
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from tests.cluster.api import connected
from tests.cluster.bringup import running_plane
from tests.cluster.build import Toolbox, build
from tests.cluster.plane import Plane, described_in
from tests.cluster.story import Story, told_in

PLANE = os.environ.get("CLUSTER_TEST_PLANE", "")
"""The file that names the shared plane, written by `python -m tests.cluster`."""
KEPT = Path(os.environ.get("CLUSTER_TEST_KEPT", ".cluster-test"))
collect_ignore_glob = [] if PLANE else ["test_*.py"]


@pytest.fixture(scope="session")
def toolbox() -> Toolbox:
    return build()


@pytest.fixture(scope="session")
def shared_plane(toolbox: Toolbox) -> Plane:
    return described_in(Path(PLANE), toolbox)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined] # pluggy's result
    if report.when == "call":
        item.stash[FAILED] = report.failed


FAILED = pytest.StashKey[bool]()


@pytest.fixture
async def story(request: pytest.FixtureRequest, tmp_path: Path, shared_plane: Plane) -> AsyncIterator[Story]:
    """A story in the shared plane."""
    plane = shared_plane
    async with connected(plane.kubeconfig) as api:
        async with told_in(_namespace(request), tmp_path, plane, api) as told:
            yield told
        if not request.node.stash.get(FAILED, True):
            await api.delete("Namespace", "", told.name, propagationPolicy="Background")
    _keep(request, tmp_path, plane)


@pytest.fixture
async def own_plane(request: pytest.FixtureRequest, tmp_path: Path, toolbox: Toolbox) -> AsyncIterator[Story]:
    """A story in a plane of its own, whose programs it may kill."""
    if os.environ.get("KUBECONFIG"):
        pytest.skip("it breaks programs of the control plane, or is about kube-system: only in a plane of its own")
    home = tmp_path / "plane"
    home.mkdir()
    async with running_plane(toolbox, home) as (plane, api), told_in(_namespace(request), tmp_path, plane, api) as told:
        yield told
    _keep(request, tmp_path, plane)


def _namespace(request: pytest.FixtureRequest) -> str:
    """Return a short name that no other story has."""
    name = request.node.name
    words = re.sub(r"[^a-z0-9]+", "-", name.removeprefix("test_").lower())
    return f"{words[:20].strip('-')}-{sha256(name.encode()).hexdigest()[:6]}"


def _keep(request: pytest.FixtureRequest, folder: Path, plane: Plane) -> None:
    """Copy what a failed story left (logs, recording, ledger, repositories) into one folder."""
    if not request.node.stash.get(FAILED, True):
        return
    kept = KEPT / _namespace(request)
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(
        folder, kept, ignore=shutil.ignore_patterns("etcd", "artifacts", "work", "tmp", "plane"), dirs_exist_ok=True
    )
    if (plane.folder / "logs").is_dir():
        shutil.copytree(plane.folder / "logs", kept / "logs", dirs_exist_ok=True)
    print(f"what it left is in {kept}")
