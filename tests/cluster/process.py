"""One program of the control plane: started in a group of its own, watched, stopped, and its log kept.

The kernel ends it when the process that started it dies, however that dies; nothing is left behind. Linux only.
"""

import ctypes
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

PR_SET_PDEATHSIG = 1
"""linux/prctl.h."""
LIBC = ctypes.CDLL(None, use_errno=True)
STOP_WITHIN = 10.0
LOWEST, SHARE, SHARES = 10_000, 1_000, 22
"""Ports of a plane, a share for each worker: the kernel's own begin at 32,768 (ip_local_port_range)."""
GIVEN: set[int] = set()
POLL = 0.05
TAIL = 20


class ProcessError(Exception):
    """A program cannot be started, or died; the message has the end of its log."""


def free_port() -> int:
    """Return a port that nobody listens on and that was not given before, from this worker's own share.

    All lie below those that the kernel hands out for outgoing connections.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw-1").removeprefix("gw")) + 1
    lowest = LOWEST + worker % SHARES * SHARE
    while True:
        port = lowest + secrets.randbelow(SHARE)
        with socket.socket() as found, suppress(OSError):
            found.bind(("127.0.0.1", port))
            if port not in GIVEN:
                GIVEN.add(port)
                return port


def _die_with_parent() -> None:
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@dataclass(slots=True)
class Process:
    """A program, its arguments, and the file its output goes to."""

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; its output is added to what an earlier life of it wrote. Raises ProcessError."""
        with self.log.open("ab") as output:
            try:
                self.running = subprocess.Popen(
                    self.command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **self.environment},
                    start_new_session=True,
                    preexec_fn=_die_with_parent,  # noqa: PLW1509 - one call into libc, no lock is taken
                )
            except OSError as error:
                raise ProcessError(f"{self.name} cannot be started: {error}") from error

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.running is not None and self.running.poll() is None

    def signal(self, which: signal.Signals) -> None:
        """Send a signal to it and to all that it started."""
        if self.running is not None and self.running.poll() is None:
            os.killpg(self.running.pid, which)

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self.signal(signal.SIGKILL)
        if self.running is not None:
            self.running.wait()

    def stop(self) -> int | None:
        """Ask it to end, then make it end; return its exit code, None when it never ran."""
        if self.running is None:
            return None
        self.signal(signal.SIGTERM)
        try:
            self.running.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self.kill()
        return self.running.returncode

    def tail(self) -> str:
        """Return the end of its log."""
        if not self.log.exists():
            return "(it wrote nothing)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-TAIL:])

    def wait_until(self, ready: Callable[[], bool], limit: float, what: str) -> None:
        """Wait until `ready` says so. Raises ProcessError when it dies before, or after `limit` seconds."""
        until = time.monotonic() + limit
        while not ready():
            if not self.alive:
                code = self.running.returncode if self.running is not None else None
                raise ProcessError(f"{self.name} ended with {code} before {what}\n{self.tail()}")
            if time.monotonic() > until:
                raise ProcessError(f"{self.name}: no {what} within {limit:g} s\n{self.tail()}")
            time.sleep(POLL)
