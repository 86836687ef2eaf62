"""`python -m tests.cluster [PYTEST ARGUMENTS]`: build, start one plane, run the stories against it, stop everything.

Exits with pytest's code, or 1 when the plane cannot be had, and then says why.
"""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.cluster.bringup import running_plane
from tests.cluster.build import BuildError, Toolbox, build
from tests.cluster.plane import write_description
from tests.cluster.process import ProcessError

WORKERS = os.environ.get("CLUSTER_TEST_WORKERS", "8")
"""Stories at once: they mostly wait, for timeouts of Flux."""

LIMIT = "900"
"""Seconds one story may take."""


async def _run(toolbox: Toolbox, arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="plane-", ignore_cleanup_errors=True) as made:
        begun = time.monotonic()
        async with running_plane(toolbox, Path(made)) as (plane, _):
            print(f"control plane with Flux: ready in {time.monotonic() - begun:.1f} s", flush=True)
            described = write_description(plane)
            environment = {**os.environ, "CLUSTER_TEST_PLANE": str(described)}
            command = [
                sys.executable,
                "-m",
                "pytest",
                "tests/cluster",
                "-n",
                WORKERS,
                "--dist",
                "worksteal",
                "--timeout",
                LIMIT,
                *arguments,
            ]
            return subprocess.run(command, env=environment, check=False).returncode  # noqa: ASYNC221 - nothing else to do


def main() -> int:
    """Run it; an interrupt stops everything too."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return asyncio.run(_run(build(), sys.argv[1:]))
    except (BuildError, ProcessError, AssertionError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
