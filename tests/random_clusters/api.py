"""A pretended API server on virtual time: each write is a line of a recording, each controller a coroutine.

A controller is a generator that yields how long it is busy, or Idle when it may be woken before. Nothing here knows
Flux, and nothing here knows fluxmedic.
"""

import heapq
import json
from collections.abc import Callable, Generator
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

BEGIN = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
Json = dict[str, Any]
Key = tuple[str, str, str]
"""Kind, namespace, name."""
VERSIONS = {
    "Kustomization": "kustomize.toolkit.fluxcd.io/v1",
    "HelmRelease": "helm.toolkit.fluxcd.io/v2",
    "GitRepository": "source.toolkit.fluxcd.io/v1",
    "HelmRepository": "source.toolkit.fluxcd.io/v1",
    "HelmChart": "source.toolkit.fluxcd.io/v1",
    "Deployment": "apps/v1",
    "ReplicaSet": "apps/v1",
    "Pod": "v1",
}
RESOURCES = (
    "kustomizations.kustomize.toolkit.fluxcd.io",
    "helmreleases.helm.toolkit.fluxcd.io",
    "gitrepositories.source.toolkit.fluxcd.io",
    "helmrepositories.source.toolkit.fluxcd.io",
    "helmcharts.source.toolkit.fluxcd.io",
    "deployments.apps",
    "replicasets.apps",
    "pods",
)


@dataclass(frozen=True)
class Idle:
    """A controller rests this long, or until it is woken."""

    seconds: float


Pause = float | Idle
Run = Generator[Pause, None, None]


class Controller:
    """One object's reconciliation: at most one run at a time, as a work queue grants it."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.turn = 0
        self.resting = False
        self.wanted = False


class Api:
    """Objects, virtual time, and the lines that a watcher saw."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.now = BEGIN
        self.objects: dict[Key, Json] = {}
        self.lines: list[str] = []
        self.version = 100
        self.heap: list[tuple[datetime, int, Callable[[], None]]] = []
        self.count = 0

    def at(self, seconds: float, do: Callable[[], None]) -> None:
        """Do something later."""
        self.count += 1
        heapq.heappush(self.heap, (self.now + timedelta(seconds=seconds), self.count, do))

    def until(self, seconds: float) -> None:
        """Let everything happen that is due by then, counted from the beginning."""
        end = BEGIN + timedelta(seconds=seconds)
        while self.heap and self.heap[0][0] <= end:
            self.now, _, do = heapq.heappop(self.heap)
            do()
        self.now = end

    def start(self, run: Run) -> Controller:
        """Begin a controller."""
        controller = Controller(run)
        self._resume(controller, 0.0)
        return controller

    def wake(self, controller: Controller) -> None:
        """Let a resting controller look again soon; one at work looks again when it is done."""
        if controller.resting:
            self._resume(controller, self.random.uniform(0.05, 0.6))
        else:
            controller.wanted = True

    def get(self, key: Key) -> Json | None:
        """Return an object as it is now."""
        return self.objects.get(key)

    def put(self, key: Key, change: Callable[[Json], None]) -> None:
        """Create or change an object; a write that changes nothing is none, as at a real API server."""
        known = self.objects.get(key)
        body = deepcopy(known) if known is not None else self._new(key)
        change(body)
        if body == known:
            return
        self.version += 1
        if known is not None and body.get("spec") != known.get("spec"):
            body["metadata"]["generation"] += 1
        body["metadata"]["resourceVersion"] = str(self.version)
        self.objects[key] = body
        self._line("MODIFIED" if known is not None else "ADDED", body)

    def delete(self, key: Key) -> None:
        """Remove an object at once."""
        body = self.objects.pop(key, None)
        if body is not None:
            self._line("DELETED", body)

    def relist(self) -> None:
        """Write what a watcher sees that begins anew: all there is, then SYNCED for each resource."""
        for body in self.objects.values():
            self._line("ADDED", body)
        for resource in RESOURCES:
            self.lines.append(json.dumps({"at": stamp(self.now), "type": "SYNCED", "resource": resource}))

    def _resume(self, controller: Controller, seconds: float) -> None:
        controller.turn += 1
        controller.resting = False
        turn = controller.turn

        def go() -> None:
            if turn == controller.turn:
                self._step(controller)

        self.at(seconds, go)

    def _step(self, controller: Controller) -> None:
        pause = next(controller.run, None)
        if pause is None:
            return
        if isinstance(pause, Idle) and controller.wanted:
            controller.wanted = False
            pause = 0.1
        self._resume(controller, pause.seconds if isinstance(pause, Idle) else pause)
        controller.resting = isinstance(pause, Idle)

    def _new(self, key: Key) -> Json:
        kind, namespace, name = key
        meta = {"name": name, "namespace": namespace, "uid": f"{kind}-{name}-{self.version}", "generation": 1}
        meta["creationTimestamp"] = stamp(self.now)
        return {"apiVersion": VERSIONS[kind], "kind": kind, "metadata": meta}

    def _line(self, change: str, body: Json) -> None:
        self.lines.append(json.dumps({"at": stamp(self.now), "type": change, "object": body}))


def stamp(at: datetime) -> str:
    """Return a time as a recording writes it."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
