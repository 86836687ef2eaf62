"""Simulated helm-controller: adopt, install, upgrade with a wait, stall, uninstall on delete, let go when suspended.

Limit: no tests, no drift detection, no rollback; with retries and nothing to roll back to it stalls as Flux does
(MissingRollbackTarget), and a release with a good revision before is left failed.
"""

import copy
from collections.abc import Callable
from typing import Any

from daemon.simulator.flux import helm_storage, inventory
from daemon.simulator.flux.client import Client, handled
from daemon.simulator.flux.events import Recorder
from daemon.simulator.flux.git import Chart, Outside, digest
from daemon.simulator.flux.helm_storage import Release
from daemon.simulator.flux.queue import Steps
from daemon.simulator.flux.status import duration, is_true, kstatus, mark, named, seconds, unmark

Json = dict[str, Any]

COMPONENT = "helm-controller"
KIND = "HelmRelease"
GROUP = "helm.toolkit.fluxcd.io"
POLL = 1.0
"""Seconds between looks at what an upgrade waits for."""
DEFAULT_TIMEOUT = 300.0


class HelmController:
    """Keeps Helm releases as HelmReleases say."""

    def __init__(self, client: Client, recorder: Recorder, outside: Outside) -> None:
        self.client = client
        self.recorder = recorder
        self.outside = outside

    def reconcile(self, namespace: str, name: str) -> Steps:
        """Run once."""
        item = self.client.find(KIND, namespace, name)
        if item is None:
            return None
        if "deletionTimestamp" in item["metadata"]:
            return (yield from self._delete(item))
        self.client.hold(KIND, namespace, name)
        if item["spec"].get("suspend"):
            self._status(item, lambda status: self._observe(item, status))
            return None
        chart = self._chart(item)
        if chart is None:
            return None
        if blocked := self._blocked(item):
            self._ready(item, "False", "DependencyNotReady", blocked)
            self.recorder.normal(item, COMPONENT, "DependencyNotReady", blocked)
            return 30.0
        return (yield from self._decide(item, chart))

    # Before an action

    def _chart(self, item: Json) -> Chart | None:
        spec, meta = item["spec"]["chart"]["spec"], item["metadata"]
        place = spec["sourceRef"].get("namespace", meta["namespace"])
        name = f"{meta['namespace']}-{meta['name']}"
        wanted = {
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "HelmChart",
            "metadata": {
                "name": name,
                "namespace": place,
                "labels": {f"{GROUP}/name": meta["name"], f"{GROUP}/namespace": meta["namespace"]},
            },
            "spec": {
                "chart": spec["chart"],
                "version": spec.get("version", "*"),
                "interval": item["spec"].get("interval", "10m"),
                "reconcileStrategy": "ChartVersion",
                "sourceRef": {"kind": spec["sourceRef"]["kind"], "name": spec["sourceRef"]["name"]},
            },
        }
        found, outcome = self.client.apply(wanted)
        if outcome == "created":
            source = f"{spec['sourceRef']['kind']}/{place}/{spec['sourceRef']['name']}"
            text = f"Created HelmChart/{place}/{name} with SourceRef '{source}'"
            self.recorder.trace(item, COMPONENT, "HelmChartCreated", text)
        self._status(item, lambda status: status.update(helmChart=f"{place}/{name}"))
        observed = found.get("status", {}).get("observedGeneration")
        if observed == found["metadata"]["generation"] and is_true(found, "Ready"):
            return self.outside.charts.get((spec["chart"], spec.get("version", "*")))
        why = "latest generation of object has not been reconciled"
        for row in found.get("status", {}).get("conditions", []):
            if row["type"] == "Stalled":
                why = row["message"]
        self._ready(item, "False", "SourceNotReady", f"HelmChart '{place}/{name}' is not ready: {why}")
        return None

    def _blocked(self, item: Json) -> str:
        own = item["metadata"]["namespace"]
        for dependency in item["spec"].get("dependsOn", []):
            namespace, name = dependency.get("namespace", own), dependency["name"]
            found = self.client.find(KIND, namespace, name)
            if found is None:
                return f"unable to get '{namespace}/{name}' dependency: helmreleases.{GROUP} \"{name}\" not found"
            observed = found.get("status", {}).get("observedGeneration")
            if observed != found["metadata"]["generation"] or not is_true(found, "Ready"):
                return f"dependency '{namespace}/{name}' is not ready"
        return ""

    def _decide(self, item: Json, chart: Chart) -> Steps:
        namespace, name = _target(item)
        stored = helm_storage.revisions(self.client, namespace, name)
        status = item.get("status", {})
        history = status.get("history", [])
        if not stored:
            return (yield from self._act(item, chart, "install"))
        managed = bool(history) and history[0]["version"] == stored[-1].version
        if not managed:
            # The release is there but not of our making: clear the history and upgrade over it (state Unmanaged).
            self._status(item, lambda new: new.update(history=[]))
            return (yield from self._act(item, chart, "upgrade"))
        wanted = (chart.version, digest(item["spec"].get("values", {})))
        if wanted != (history[0]["chartVersion"], history[0]["configDigest"]):
            return (yield from self._act(item, chart, "upgrade"))
        if stored[-1].status == "failed":
            if status.get("lastAttemptedGeneration") != item["metadata"]["generation"]:
                return (yield from self._act(item, chart, "upgrade"))
            self._stall(item, status.get("lastAttemptedReleaseAction", "upgrade"))
            return None
        self._status(item, lambda new: self._observe(item, new))
        return seconds(item["spec"].get("interval"), 600.0)

    # An action

    def _act(self, item: Json, chart: Chart, action: str) -> Steps:
        namespace, name = _target(item)
        timeout = seconds(item["spec"].get("timeout"), DEFAULT_TIMEOUT)
        values = item["spec"].get("values", {})
        self._running(item, f"Running '{action}' action with timeout of {duration(timeout)}", chart, action, values)
        yield 0.2
        began = self.client.seconds()
        release = helm_storage.begin(self.client, namespace, name, chart, values)
        logs = self._apply(item, release)
        waiting: list[str] = []
        while True:
            yield POLL
            states = [(one, kstatus(self._live(one))) for one in release.manifest]
            waiting = [f"{named(one)} status: '{state}'" for one, state in states if state != "Current"]
            took = self.client.seconds() - began
            if not waiting or took >= timeout or self._is_gone(item):
                break
        if self._is_gone(item):
            return None
        if waiting:
            self._failed(item, release, action, f"timeout waiting for: [{', '.join(waiting)}]", took, logs)
            return None
        return self._deployed(item, release, action, took)

    def _apply(self, item: Json, release: Release) -> list[str]:
        meta, logs = item["metadata"], []
        for manifest in release.manifest:
            new = copy.deepcopy(manifest)
            new["metadata"]["labels"] |= {f"{GROUP}/name": meta["name"], f"{GROUP}/namespace": meta["namespace"]}
            self.client.apply(new)
            moment = self.client.now().strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
            logs.append(f'{moment}: Patched resource: {{"kind":"{new["kind"]}","name":"{new["metadata"]["name"]}"}}')
        return logs

    def _live(self, manifest: Json) -> Json | None:
        return self.client.find(
            manifest["kind"], manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"]
        )

    def _is_gone(self, item: Json) -> bool:
        live = self.client.find(KIND, item["metadata"]["namespace"], item["metadata"]["name"])
        return live is None or live["metadata"]["uid"] != item["metadata"]["uid"]

    def _deployed(self, item: Json, release: Release, action: str, took: float) -> float:
        helm_storage.end(self.client, release, "deployed")
        text, reason = f"Helm {action} succeeded for release {release.text}", f"{action.capitalize()}Succeeded"
        self.recorder.normal(item, COMPONENT, reason, text, **_metadata(release))

        def change(status: Json) -> None:
            self._record(release, status, action, took, "deployed")
            unmark(status, "Reconciling", "Stalled")
            self._released(item, status, "True", reason, text)
            for counter in ("failures", "installFailures", "upgradeFailures"):
                status.pop(counter, None)
            self._observe(item, status)

        self._status(item, change)
        return seconds(item["spec"].get("interval"), 600.0)

    def _failed(self, item: Json, release: Release, action: str, why: str, took: float, logs: list[str]) -> None:
        helm_storage.end(self.client, release, "failed")
        reason = f"{action.capitalize()}Failed"
        place = f"{release.namespace}/{release.name} with chart {release.chart}@{release.chart_version}"
        text = f"Helm {action} failed for release {place}: {why}"
        told = "\n".join([text, "", "Last Helm logs:", "", *logs])
        self.recorder.warning(item, COMPONENT, reason, told, **_metadata(release))

        def change(status: Json) -> None:
            self._record(release, status, action, took, "failed")
            self._released(item, status, "False", reason, text)
            for counter in ("failures", f"{action}Failures"):
                status[counter] = status.get(counter, 0) + 1

        self._status(item, change)
        self._stall(item, action)

    def _stall(self, item: Json, action: str) -> None:
        retries = item["spec"].get(action, {}).get("remediation", {}).get("retries", 0)
        live = self.client.find(KIND, item["metadata"]["namespace"], item["metadata"]["name"]) or item
        attempts = live.get("status", {}).get(f"{action}Failures", 1)
        reason, text = "RetriesExceeded", f"Failed to {action} after {attempts} attempt(s)"
        if retries and len(live.get("status", {}).get("history", [])) < 2:  # noqa: PLR2004 - one to roll back to
            reason = "MissingRollbackTarget"
            why = "missing target release for rollback: cannot remediate failed release"
            text = f"Failed to perform remediation: {why}"
        generation, now = item["metadata"]["generation"], self.client.stamp()

        def change(status: Json) -> None:
            mark(status, "Stalled", "True", reason, text, generation=generation, at=now)
            self._observe(item, status)

        self._status(item, change)

    # Deletion

    def _delete(self, item: Json) -> Steps:
        meta = item["metadata"]
        history = item.get("status", {}).get("history", [])
        if not item["spec"].get("suspend"):
            if history:
                yield 0.3
                self._uninstall(item)
            place, _, chart = str(item.get("status", {}).get("helmChart", "")).partition("/")
            self.client.delete("HelmChart", place, chart)
        self.client.release(KIND, meta["namespace"], meta["name"])
        return None

    def _uninstall(self, item: Json) -> None:
        # Helm takes the release's name and removes what the highest revision lists, whoever wrote it.
        namespace, name = _target(item)
        stored = helm_storage.revisions(self.client, namespace, name)
        if not stored:
            return
        for manifest in reversed(stored[-1].manifest):
            self.client.delete(
                manifest["kind"], manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"]
            )
        helm_storage.purge(self.client, namespace, name)
        text = f"Helm uninstall succeeded for release {stored[-1].text}"
        self.recorder.normal(item, COMPONENT, "UninstallSucceeded", text, **_metadata(stored[-1]))

    # Status

    def _running(self, item: Json, text: str, chart: Chart, action: str, values: Json) -> None:
        generation, now = item["metadata"]["generation"], self.client.stamp()

        def change(status: Json) -> None:
            mark(status, "Reconciling", "True", "Progressing", text, generation=generation, at=now)
            mark(status, "Ready", "Unknown", "Progressing", text, generation=generation, at=now)
            status |= {
                "lastAttemptedRevision": chart.version,
                "lastAttemptedConfigDigest": digest(values),
                "lastAttemptedGeneration": generation,
                "lastAttemptedReleaseAction": action,
                "storageNamespace": _target(item)[0],
            }

        self._status(item, change)

    def _record(self, release: Release, status: Json, action: str, took: float, outcome: str) -> None:
        snapshot = release.snapshot(action) | {"status": outcome}
        status["history"] = [snapshot, *status.get("history", [])][:5]
        status["lastAttemptedReleaseActionDuration"] = duration(took)
        status["inventory"] = {"entries": [inventory.entry(one) for one in release.manifest]}

    def _released(self, item: Json, status: Json, value: str, reason: str, text: str) -> None:
        generation, now = item["metadata"]["generation"], self.client.stamp()
        for kind in ("Ready", "Released"):
            mark(status, kind, value, reason, text, generation=generation, at=now)

    def _observe(self, item: Json, status: Json) -> None:
        status["observedGeneration"] = item["metadata"]["generation"]
        handled(item, status)

    def _ready(self, item: Json, value: str, reason: str, message: str) -> None:
        generation, now = item["metadata"]["generation"], self.client.stamp()

        def change(status: Json) -> None:
            text = "Fulfilling prerequisites"
            mark(status, "Reconciling", "True", "Progressing", text, generation=generation, at=now)
            mark(status, "Ready", value, reason, message, generation=generation, at=now)
            handled(item, status)

        self._status(item, change)

    def _status(self, item: Json, change: Callable[[Json], None]) -> None:
        meta = item["metadata"]
        self.client.status(KIND, meta["namespace"], meta["name"], change)


def _target(item: Json) -> tuple[str, str]:
    spec, meta = item["spec"], item["metadata"]
    place = spec.get("targetNamespace", "")
    name = spec.get("releaseName") or (f"{place}-{meta['name']}" if place else meta["name"])
    return spec.get("storageNamespace", meta["namespace"]), name


def _metadata(release: Release) -> dict[str, str]:
    return {"revision": release.chart_version, "app_version": release.app_version, "token": digest(release.config)}


class HelmCli:
    """What `helm upgrade --install` or helmfile does from outside, without waiting."""

    def __init__(self, client: Client, objects: Client) -> None:
        """Take the hands that write the storage (manager Helm) and those that write objects (manager helm)."""
        self.client = client
        self.objects = objects

    def upgrade(self, namespace: str, name: str, chart: Chart, values: Json) -> int:
        """Install or upgrade a release and return its new revision."""
        release = helm_storage.begin(self.client, namespace, name, chart, values)
        for manifest in release.manifest:
            self.objects.apply(manifest)
        helm_storage.end(self.client, release, "deployed")
        return release.version
