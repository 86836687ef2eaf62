"""Simulated kustomize-controller: dependencies, apply, inventory, prune, health checks, with Flux's texts and order.

Limit: a folder holds finished manifests (no build errors but a missing path); no readyExpr, no kubeConfig, no SOPS.
"""

import copy
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from daemon.simulator.api.errors import ApiError
from daemon.simulator.flux import inventory
from daemon.simulator.flux.client import Client, handled
from daemon.simulator.flux.events import Recorder
from daemon.simulator.flux.git import Outside, digest
from daemon.simulator.flux.inventory import GROUP
from daemon.simulator.flux.queue import Steps
from daemon.simulator.flux.status import condition, duration, is_true, kstatus, mark, named, seconds, unmark

Json = dict[str, Any]

COMPONENT = "kustomize-controller"
KIND = "Kustomization"
POLL = 5.0
"""Seconds between looks at what a health check waits for."""
LEAST_TIMEOUT = 30.0
"""Seconds; a shorter spec.timeout is raised to this (measured on Flux 2.9)."""
HISTORY = 5
"""Entries of status.history."""
FIRST = ("Namespace", "CustomResourceDefinition")
PHASE = 0.15
"""Seconds between the phases of a run, as measured on a quiet cluster."""


@dataclass(slots=True)
class Run:
    """One reconciliation of one Kustomization under way."""

    item: Json
    revision: str
    began: float
    entries: list[Json] = field(default_factory=list)
    changed: bool = False

    @property
    def timeout(self) -> float:
        """Return spec.timeout in seconds as Flux takes it."""
        interval = seconds(self.item["spec"].get("interval"), 60.0)
        return max(LEAST_TIMEOUT, seconds(self.item["spec"].get("timeout"), interval - LEAST_TIMEOUT))

    def phase(self, text: str) -> str:
        """Return a progress message."""
        return f"{text} for revision {self.revision} with a timeout of {duration(self.timeout)}"


class KustomizeController:
    """Applies Git to the cluster. `requeue_dependency` is the flag of that name, in seconds."""

    def __init__(self, client: Client, recorder: Recorder, outside: Outside) -> None:
        self.client = client
        self.recorder = recorder
        self.outside = outside
        self.requeue_dependency = 30.0
        self._runs = 0

    def reconcile(self, namespace: str, name: str) -> Steps:
        """Run once."""
        item = self._begin(namespace, name)
        if item is None:
            return None
        source = self._source(item)
        revision = str((source or {}).get("status", {}).get("artifact", {}).get("revision", ""))
        if not revision:
            return self._no_artifact(item, source)
        if blocked := self._blocked(item, revision):
            return self._wait_for_dependency(item, blocked, revision)
        run = Run(item, revision, self.client.seconds())
        return (yield from self._run(run))

    # Before a run

    def _begin(self, namespace: str, name: str) -> Json | None:
        item = self.client.find(KIND, namespace, name)
        if item is None:
            return None
        if "deletionTimestamp" in item["metadata"]:
            self._finalize(item)
            return None
        item = self.client.hold(KIND, namespace, name)
        if item["spec"].get("suspend"):
            self.client.status(KIND, namespace, name, partial(handled, item))
            return None
        return item

    def _source(self, item: Json) -> Json | None:
        ref = item["spec"]["sourceRef"]
        return self.client.find(ref["kind"], ref.get("namespace", item["metadata"]["namespace"]), ref["name"])

    def _no_artifact(self, item: Json, source: Json | None) -> float:
        ref = item["spec"]["sourceRef"]
        text = "Source artifact not found, retrying in 30s"
        if source is None:
            text = f'{ref["kind"]}.source.toolkit.fluxcd.io "{ref["name"]}" not found'
        self._ready(item, "False", "ArtifactFailed", text)
        return self.requeue_dependency

    def _blocked(self, item: Json, revision: str) -> str:
        own = item["metadata"]["namespace"]
        for dependency in item["spec"].get("dependsOn", []):
            namespace, name = dependency.get("namespace", own), dependency["name"]
            found = self.client.find(KIND, namespace, name)
            place = f"dependency '{namespace}/{name}'"
            if found is None:
                return f'{place} not found: kustomizations.{GROUP} "{name}" not found'
            observed = found.get("status", {}).get("observedGeneration")
            if observed != found["metadata"]["generation"] or not is_true(found, "Ready"):
                return f"{place} is not ready"
            if _source_key(found) == _source_key(item) and found["status"].get("lastAppliedRevision") != revision:
                return f"{place} revision is not up to date"
        return ""

    def _wait_for_dependency(self, item: Json, why: str, revision: str) -> float:
        self._ready(item, "False", "DependencyNotReady", why)
        text = f"Dependencies do not meet ready condition, retrying in {duration(self.requeue_dependency)}"
        self.recorder.normal(item, COMPONENT, "DependencyNotReady", text, revision=revision)
        return self.requeue_dependency

    # A run

    def _run(self, run: Run) -> Steps:
        self._progress(run, "Fetching manifests", ready=True)
        yield PHASE
        self._progress(run, "Building manifests", attempted=True)
        yield PHASE
        commit = self.outside.repositories[_source_key(run.item)[1]].at(run.revision)
        manifests = commit.manifests(run.item["spec"].get("path", "./")) if commit else None
        if manifests is None:
            path = run.item["spec"].get("path", "./").removeprefix("./")
            missing = f"stat /tmp/kustomization-{digest(run.revision)[7:17]}/{path}: no such file or directory"
            return self._fail(run, "ArtifactFailed", f"kustomization path not found: {missing}")
        self._progress(run, "Detecting drift")
        yield PHASE
        try:
            self._apply(run, manifests)
        except ApiError as error:
            return self._fail(run, "ReconciliationFailed", _refusal(error))
        try:
            self._prune(run)
        except ApiError as error:
            return self._fail(run, "PruneFailed", f"delete failed, errors: {error}")
        yield 0.05
        if checks := self._checks(run):
            failure = yield from self._check_health(run, checks)
            if failure:
                return self._fail(run, "HealthCheckFailed", failure)
        return self._succeed(run)

    def _apply(self, run: Run, manifests: tuple[Json, ...]) -> None:
        meta = run.item["metadata"]
        lines = []
        # Namespaces and CRDs first: nothing of the rest is applied before all of it passes a dry run.
        for stage in (True, False):
            staged = [self._labelled(one, meta) for one in manifests if (one["kind"] in FIRST) is stage]
            for manifest in staged:
                self.client.apply(manifest, dry_run=True)
            for manifest in staged:
                item, outcome = self.client.apply(manifest)
                run.entries.append(inventory.entry(item))
                if outcome != "unchanged":
                    lines.append(f"{named(item)} {outcome}")
        run.changed = bool(lines)
        if lines:
            self.recorder.normal(run.item, COMPONENT, "Progressing", "\n".join(lines), revision=run.revision)

    def _labelled(self, manifest: Json, meta: Json) -> Json:
        new = copy.deepcopy(manifest)
        labels = {f"{GROUP}/name": meta["name"], f"{GROUP}/namespace": meta["namespace"]}
        new["metadata"]["labels"] = new["metadata"].get("labels", {}) | labels
        return new

    def _prune(self, run: Run) -> None:
        # The inventory is stored after the apply and before pruning and health checks, so a failure leaves it right.
        old = run.item.get("status", {}).get("inventory", {}).get("entries", [])
        self._status(run.item, lambda status: status.update(inventory={"entries": run.entries}))
        if not run.item["spec"].get("prune"):
            return
        kept = {entry["id"] for entry in run.entries}
        self._delete(run.item, [entry for entry in old if entry["id"] not in kept], run.revision)

    def _delete(self, owner: Json, entries: list[Json], revision: str) -> None:
        lines = []
        for entry in reversed(entries):
            namespace, name, _, kind = inventory.parse(entry["id"])
            item = self.client.find(kind, namespace, name)
            if item is None:
                continue
            if inventory.skipped(item, owner["metadata"]):
                lines.append(f"{named(item)} skipped")
            else:
                self.client.delete(kind, namespace, name)
                lines.append(f"{named(item)} deleted")
        if lines:
            self.recorder.normal(owner, COMPONENT, "Progressing", "\n".join(lines), revision=revision)

    # Health

    def _checks(self, run: Run) -> list[tuple[str, str, str]]:
        spec = run.item["spec"]
        if spec.get("wait"):
            ids = [inventory.parse(entry["id"]) for entry in run.entries]
            return [(kind, namespace, name) for namespace, name, _, kind in ids]
        return [(one["kind"], one.get("namespace", ""), one["name"]) for one in spec.get("healthChecks", [])]

    def _check_health(self, run: Run, checks: list[tuple[str, str, str]]) -> Generator[float, None, str]:
        began = self.client.seconds()
        before = condition(run.item, "Healthy")
        self._progress(run, "Running health checks", healthy=True)
        while True:
            yield 0.05
            states = {check: kstatus(self.client.find(*check)) for check in checks}
            took = self._since(began)
            bad = {check: state for check, state in states.items() if state != "Current"}
            if not bad:
                return self._healthy(run, took, before)
            stalled = {check: state for check, state in bad.items() if state == "Failed"}
            if stalled:
                return self._unhealthy(run, took, f"failed early due to stalled resources: {self._items(stalled)}")
            if took >= run.timeout:
                return self._unhealthy(run, took, f"timeout waiting for: {self._items(bad)}")
            yield min(POLL, max(0.05, run.timeout - took))

    def _items(self, states: dict[tuple[str, str, str], str]) -> str:
        rows = []
        for check, state in states.items():
            item = self.client.find(*check)
            ready = condition(item, "Ready") if item and state == "Failed" else None
            detail = f": {ready['message']}" if ready else ""
            rows.append(f"{'/'.join(part for part in check if part)} status: '{state}'{detail}")
        return f"[{', '.join(rows)}]"

    def _healthy(self, run: Run, took: float, before: Json | None) -> str:
        text = f"Health check passed in {duration(took)}"
        self._mark(run.item, "Healthy", "True", "Succeeded", text)
        if run.changed or before is None or before["status"] != "True":
            self.recorder.normal(run.item, COMPONENT, "Progressing", text, revision=run.revision)
        return ""

    def _unhealthy(self, run: Run, took: float, text: str) -> str:
        self._mark(run.item, "Healthy", "False", "HealthCheckFailed", text)
        return f"health check failed after {duration(took)}: {text}"

    # After a run

    def _succeed(self, run: Run) -> float:
        interval = seconds(run.item["spec"].get("interval"), 600.0)
        generation = run.item["metadata"]["generation"]
        text = f"Applied revision: {run.revision}"
        now = self.client.stamp()

        def change(status: Json) -> None:
            unmark(status, "Reconciling", *(() if self._checks(run) else ("Healthy",)))
            mark(status, "Ready", "True", "ReconciliationSucceeded", text, generation=generation, at=now)
            status |= {"observedGeneration": generation, "lastAppliedRevision": run.revision}
            self._note(run, status, "ReconciliationSucceeded")

        self._status(run.item, change)
        took = duration(self._since(run.began))
        done = f"Reconciliation finished in {took}, next run in {duration(interval)}"
        self.recorder.normal(
            run.item, COMPONENT, "ReconciliationSucceeded", done, revision=run.revision, commit_status="update"
        )
        return interval

    def _fail(self, run: Run, reason: str, message: str) -> float:
        interval = seconds(run.item["spec"].get("interval"), 600.0)
        generation, now = run.item["metadata"]["generation"], self.client.stamp()

        def change(status: Json) -> None:
            doing = condition({"status": status}, "Reconciling") or {"message": message}
            mark(
                status,
                "Reconciling",
                "True",
                "ProgressingWithRetry",
                doing["message"],
                generation=generation,
                at=now,
            )
            mark(status, "Ready", "False", reason, message, generation=generation, at=now)
            self._note(run, status, reason)

        self.recorder.warning(run.item, COMPONENT, reason, message, revision=run.revision)
        self._status(run.item, change)
        return seconds(run.item["spec"].get("retryInterval"), interval)

    def _note(self, run: Run, status: Json, reason: str) -> None:
        handled(run.item, status)
        now, rows = self.client.stamp(), status.get("history", [])
        mine = digest([entry["id"] for entry in run.entries] + [run.revision])
        old = next((row for row in rows if (row["digest"], row["lastReconciledStatus"]) == (mine, reason)), None)
        row = {
            "digest": mine,
            "firstReconciled": old["firstReconciled"] if old else now,
            "lastReconciled": now,
            "lastReconciledDuration": duration(self._since(run.began)),
            "lastReconciledStatus": reason,
            "metadata": {"revision": run.revision},
            "totalReconciliations": (old["totalReconciliations"] if old else 0) + 1,
        }
        status["history"] = [row, *(one for one in rows if one is not old)][:HISTORY]

    def _finalize(self, item: Json) -> None:
        spec, meta = item["spec"], item["metadata"]
        policy = spec.get("deletionPolicy", "MirrorPrune")
        deletes = policy in ("Delete", "WaitForTermination") or (policy == "MirrorPrune" and spec.get("prune"))
        if deletes and not spec.get("suspend"):
            entries = item.get("status", {}).get("inventory", {}).get("entries", [])
            self._delete(item, entries, item.get("status", {}).get("lastAppliedRevision", ""))
        self.client.release(KIND, meta["namespace"], meta["name"])

    def _since(self, began: float) -> float:
        # On an exact clock two runs would take equally long and their texts be equal, which in life never happens.
        self._runs += 1
        return self.client.seconds() - began + self._runs * 7919 % 20011 / 1e6

    # Status

    def _progress(
        self, run: Run, doing: str, *, ready: bool = False, attempted: bool = False, healthy: bool = False
    ) -> None:
        text, generation, now = run.phase(doing), run.item["metadata"]["generation"], self.client.stamp()

        def change(status: Json) -> None:
            mark(status, "Reconciling", "True", "Progressing", text, generation=generation, at=now)
            if ready:
                wait = "Reconciliation in progress"
                mark(status, "Ready", "Unknown", "Progressing", wait, generation=generation, at=now)
            if attempted:
                status["lastAttemptedRevision"] = run.revision
            if healthy:
                mark(status, "Healthy", "Unknown", "Progressing", text, generation=generation, at=now)

        self._status(run.item, change)

    def _ready(self, item: Json, value: str, reason: str, message: str) -> None:
        generation, now = item["metadata"]["generation"], self.client.stamp()

        def change(status: Json) -> None:
            unmark(status, "Reconciling")
            mark(status, "Ready", value, reason, message, generation=generation, at=now)
            handled(item, status)

        self._status(item, change)

    def _mark(self, item: Json, kind: str, value: str, reason: str, message: str) -> None:
        generation, now = item["metadata"]["generation"], self.client.stamp()
        self._status(item, lambda status: mark(status, kind, value, reason, message, generation=generation, at=now))

    def _status(self, item: Json, change: Callable[[Json], None]) -> None:
        meta = item["metadata"]
        self.client.status(KIND, meta["namespace"], meta["name"], change)


def _source_key(item: Json) -> tuple[str, str]:
    ref = item["spec"]["sourceRef"]
    return ref["kind"], f"{ref.get('namespace', item['metadata']['namespace'])}/{ref['name']}"


def _refusal(error: ApiError) -> str:
    details = error.details
    what = "/".join(str(details[key]) for key in ("kind", "name") if key in details)
    return f"{what} dry-run failed ({error.reason}): {error}" if what else f"dry-run failed ({error.reason}): {error}"
