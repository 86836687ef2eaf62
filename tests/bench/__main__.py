"""Run every measurement; print the table, then one JSON document. A figure that is missed is told, no more."""

import asyncio
import os
import platform
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson

from tests.bench import core, ledger, live, mixed, process
from tests.bench.table import Row, Watch, show


async def measured(folder: Path) -> list[Row]:
    """Take every measurement in turn, and show each as it comes."""
    found: list[Row] = []
    for part in (live.storm, core.rows, mixed.rows, ledger.rows, live.changes, process.rows):
        async for row in part(folder):
            found.append(row)
            show(row)
    return found


def main() -> None:
    """Measure and report."""
    watch = Watch()
    with TemporaryDirectory(prefix="fluxmedic-bench-") as folder:
        rows = asyncio.run(measured(Path(folder)))
    machine = {"cores": os.cpu_count(), "processor": platform.machine(), "python": platform.python_version()}
    document = {
        "apiVersion": "fluxmedic.dev/v1",
        "kind": "BenchReport",
        "machine": machine,
        "seconds": round(watch.seconds, 1),
        "rows": [row.document() for row in rows],
    }
    sys.stdout.write(f"\n{orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()}\n")


if __name__ == "__main__":
    main()
