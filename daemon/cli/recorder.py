"""`record`: the daemon's own feeds with a file at their end instead of the engine.

What is written is what the API server sent, less Secrets' contents, values and the inside of managed fields.
"""

import asyncio
import gzip
import signal
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from daemon.cli.output import say
from daemon.kube.client import connect, default_kubeconfig
from daemon.model.errors import ConfigError, Problem
from daemon.model.signals import Arrival
from daemon.replay.recording import record_line, record_sync
from daemon.runtime.backoff import delays
from daemon.runtime.clock import SystemClock
from daemon.runtime.supervise import Stop, Tasks
from daemon.settings import process_environment
from daemon.sources import objects


class Writer:
    """A Tap that writes every fact as one line."""

    def __init__(self, file: BinaryIO | gzip.GzipFile) -> None:
        """Write to this file."""
        self._file = file
        self.lines = 0

    def fact(self, at: datetime, kind: str, raw: Mapping[str, object]) -> None:
        """Write an ADDED, MODIFIED or DELETED."""
        self._write(record_line(at, kind, raw))

    def synced(self, at: datetime, resource: str) -> None:
        """Write the end of a list."""
        self._write(record_sync(at, resource))

    def _write(self, line: bytes) -> None:
        self._file.write(line)
        self._file.flush()
        self.lines += 1


class Nowhere:
    """An inbox that keeps nothing."""

    def put(self, signal: Arrival) -> None:
        """Forget the signal."""


async def record_cluster(file: Path, seconds: float, kubeconfig: str, cluster: str) -> int:
    """Record until interrupted, or for so many seconds; return how many lines were written.

    Raises ConfigError when the file cannot be written and ClusterError when the cluster cannot be reached.
    """
    clock = SystemClock()
    stop = Stop(clock, 0.0)
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError, ValueError, RuntimeError):
            loop.add_signal_handler(name, stop.ask, name.name)
    async with await connect(cluster, kubeconfig or default_kubeconfig(process_environment())) as connected:
        await connected.version()
        with closing(_open(file)) as opened:
            tap = Writer(opened)
            async with Tasks("record", clock, _fault) as tasks:
                for feed in objects.feeds(connected, Nowhere(), clock, _series(), tap=tap):
                    tasks.keep(feed.name, feed.run)
                if seconds > 0:
                    await clock.within(seconds, stop.wait())
                else:
                    await stop.wait()
            return tap.lines


def _open(file: Path) -> BinaryIO | gzip.GzipFile:
    try:
        raw = file.open("wb")
    except OSError as error:
        raise ConfigError(Problem(f"the recording cannot be written: {error.strerror}", file=str(file))) from error
    return raw if file.suffix != ".gz" else gzip.GzipFile(fileobj=raw, mode="wb")


def _series() -> Iterator[Iterator[float]]:
    while True:
        yield delays()


def _fault(name: str, error: BaseException) -> None:
    say(f"warning: {name}: {error}")
