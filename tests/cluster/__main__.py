"""`python -m tests.cluster [PYTEST ARGUMENTS]`: build, start one plane, run the stories against it, stop everything.

With KUBECONFIG set, the stories that need no plane of their own run in that cluster, which must be marked as one to
throw away. Exits with pytest's code, with 1 when no plane can be had and with 2 when the cluster is not marked.
"""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.cluster.api import connected
from tests.cluster.bringup import running_plane
from tests.cluster.build import BuildError, Toolbox, build
from tests.cluster.identity import Identity
from tests.cluster.plane import Plane, write_description
from tests.cluster.process import ProcessError

WORKERS = os.environ.get("CLUSTER_TEST_WORKERS", "8")
"""Stories at once: they mostly wait, for timeouts of Flux."""

THROW_AWAY = "fluxmedic.dev/throw-away"
REFUSAL = """KUBECONFIG is set to {kubeconfig} ({server}), and its namespace default is not labelled {label}=true.
The stories break things on purpose. Unset KUBECONFIG to run them in a plane of their own, or, if this cluster may be
thrown away: kubectl label namespace default {label}=true""".replace("{label}", THROW_AWAY)
LIMIT = "900"
"""Seconds one story may take."""


async def _in_our_plane(toolbox: Toolbox, arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="plane-", ignore_cleanup_errors=True) as made:
        begun = time.monotonic()
        async with running_plane(toolbox, Path(made)) as (plane, _):
            print(f"control plane with Flux: ready in {time.monotonic() - begun:.1f} s", flush=True)
            return _pytest(plane, arguments)


async def _in_given_cluster(kubeconfig: Path, toolbox: Toolbox, arguments: list[str]) -> int:
    """Run against a cluster that somebody gives away: its namespace default must say so."""
    async with connected(kubeconfig) as api:
        marked = await api.get("Namespace", "", "default") or {}
        server = api.server
    if marked.get("metadata", {}).get("labels", {}).get(THROW_AWAY) != "true":
        print(REFUSAL.format(kubeconfig=kubeconfig, server=server), file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="plane-") as made:
        plane = Plane(Path(made), toolbox, Identity(Path(made), ""), server=server)
        plane.kubeconfig = kubeconfig
        return _pytest(plane, arguments)


def _pytest(plane: Plane, arguments: list[str]) -> int:
    environment = {**os.environ, "CLUSTER_TEST_PLANE": str(write_description(plane))}
    options = ["-n", WORKERS, "--dist", "worksteal", "--timeout", LIMIT]
    command = [sys.executable, "-m", "pytest", "tests/cluster", *options, *arguments]
    return subprocess.run(command, env=environment, check=False).returncode


def main() -> int:
    """Run it; an interrupt stops everything too."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        toolbox, given = build(), os.environ.get("KUBECONFIG", "")
        if given:
            return asyncio.run(_in_given_cluster(Path(given), toolbox, sys.argv[1:]))
        return asyncio.run(_in_our_plane(toolbox, sys.argv[1:]))
    except (BuildError, ProcessError, AssertionError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
