"""Simulated source-controller: GitRepository, HelmRepository, HelmChart.

Limit: OCIRepository and Bucket keep the status a scenario gives them. A failing fetch backs off as in life, 0.75 s
doubling to 15 min.
"""

from typing import Any

from daemon.simulator.flux.client import Client, handled
from daemon.simulator.flux.events import Recorder
from daemon.simulator.flux.git import Outside, Repository, digest
from daemon.simulator.flux.queue import Steps
from daemon.simulator.flux.status import mark, seconds, unmark

Json = dict[str, Any]

COMPONENT = "source-controller"
SUBJECT = 50
"""Characters of a commit's subject in an Event."""
FIRST_RETRY, LAST_RETRY = 0.75, 900.0


class SourceController:
    """Fetches what lies outside the cluster."""

    def __init__(self, client: Client, recorder: Recorder, outside: Outside) -> None:
        self.client = client
        self.recorder = recorder
        self.outside = outside
        self._failures: dict[tuple[str, str, str], int] = {}

    def git(self, namespace: str, name: str) -> Steps:
        """Reconcile a GitRepository."""
        item = self._begin("GitRepository", namespace, name)
        if item is None:
            return None
        repository = self.outside.repositories.get(f"{namespace}/{name}")
        if repository is None or repository.failure or not repository.commits:
            failure = repository.failure if repository else "repository not found"
            return self._failed(item, "GitOperationFailed", f"failed to checkout and determine revision: {failure}")
        self._failures.pop(("GitRepository", namespace, name), None)
        revision = repository.revision(repository.commits[-1])
        old = item.get("status", {}).get("artifact", {}).get("revision", "")
        if old == revision:
            text = f"no changes since last reconciliation: observed revision '{revision}'"
            self.recorder.trace(item, COMPONENT, "GitOperationSucceeded", text)
        else:
            self._mark(item, ("Reconciling", "Ready"), "Unknown", "Progressing", _building(revision))
            yield 0.1
        self._store_git(item, repository, revision, changed=old != revision)
        return seconds(item["spec"].get("interval"), 60.0)

    def _store_git(self, item: Json, repository: Repository, revision: str, *, changed: bool) -> None:
        subject = repository.commits[-1].subject
        short = subject if len(subject) <= SUBJECT else f"{subject[:SUBJECT]}..."
        path = f"gitrepository/{_place(item)}/{revision.rpartition(':')[2]}.tar.gz"
        artifact = _artifact(path, revision, self.client.stamp())
        if changed:
            text = f"stored artifact for commit '{short}'"
            self.recorder.normal(item, COMPONENT, "NewArtifact", text, revision=revision)
        self._ready(item, "Succeeded", f"stored artifact for revision '{revision}'", artifact if changed else None)

    def helm_repository(self, namespace: str, name: str) -> Steps:
        """Reconcile a HelmRepository: its index is the charts that are published."""
        item = self._begin("HelmRepository", namespace, name)
        if item is None:
            return None
        yield 0.1
        revision = digest(sorted("@".join(key) for key in self.outside.charts))
        path = f"helmrepository/{_place(item)}/index.yaml"
        old = item.get("status", {}).get("artifact", {}).get("revision", "")
        artifact = _artifact(path, revision, self.client.stamp())
        text = f"stored artifact: revision '{revision}'"
        if old != revision:
            fetched = f"stored fetched index of size 1kB from '{item['spec'].get('url', '')}'"
            self.recorder.normal(item, COMPONENT, "NewArtifact", fetched, revision=revision)
        self._ready(item, "Succeeded", text, artifact if old != revision else None)
        return seconds(item["spec"].get("interval"), 3600.0)

    def helm_chart(self, namespace: str, name: str) -> Steps:
        """Reconcile a HelmChart."""
        item = self._begin("HelmChart", namespace, name)
        if item is None:
            return None
        chart, version = item["spec"]["chart"], item["spec"].get("version", "*")
        fresh = item.get("status", {}).get("observedGeneration") != item["metadata"]["generation"]
        if fresh:
            text = f"processing object: new generation -1 -> {item['metadata']['generation']}"
            self._mark(item, ("Reconciling", "Ready"), "Unknown", "Progressing", text)
            yield 0.3
        if (chart, version) not in self.outside.charts:
            why = f"no '{chart}' chart with version matching '{version}' found"
            self._stalled(item, f"invalid chart reference: failed to get chart version for remote reference: {why}")
            return None
        text = f"pulled '{chart}' chart with version '{version}'"
        if fresh:
            self.recorder.normal(item, COMPONENT, "ChartPullSucceeded", text, revision=version)
        artifact = _artifact(f"helmchart/{_place(item)}/{chart}-{version}.tgz", version, self.client.stamp())
        self._ready(item, "ChartPullSucceeded", text, artifact if fresh else None)
        return seconds(item["spec"].get("interval"), 600.0)

    def _begin(self, kind: str, namespace: str, name: str) -> Json | None:
        item = self.client.find(kind, namespace, name)
        if item is None:
            return None
        if "deletionTimestamp" in item["metadata"]:
            self.client.release(kind, namespace, name)
            return None
        self.client.hold(kind, namespace, name)
        if item["spec"].get("suspend"):
            self.client.status(kind, namespace, name, lambda status: handled(item, status))
            return None
        return self.client.find(kind, namespace, name)

    def _mark(self, item: Json, kinds: tuple[str, ...], value: str, reason: str, message: str) -> None:
        now, generation = self.client.stamp(), item["metadata"]["generation"]

        def change(status: Json) -> None:
            for kind in kinds:
                state = "True" if kind in ("Reconciling", "FetchFailed", "Stalled") else value
                mark(status, kind, state, reason, message, generation=generation, at=now)

        self.client.status(item["kind"], item["metadata"]["namespace"], item["metadata"]["name"], change)

    def _ready(self, item: Json, reason: str, message: str, artifact: Json | None) -> None:
        now, generation = self.client.stamp(), item["metadata"]["generation"]

        def change(status: Json) -> None:
            unmark(status, "Reconciling", "Stalled", "FetchFailed")
            for kind in ("Ready", "ArtifactInStorage"):
                mark(status, kind, "True", reason, message, generation=generation, at=now)
            status["observedGeneration"] = generation
            if artifact:
                status["artifact"] = artifact
            handled(item, status)

        self.client.status(item["kind"], item["metadata"]["namespace"], item["metadata"]["name"], change)

    def _failed(self, item: Json, reason: str, message: str) -> float:
        key = (item["kind"], item["metadata"]["namespace"], item["metadata"]["name"])
        tries = self._failures[key] = self._failures.get(key, 0) + 1
        self.recorder.warning(item, COMPONENT, reason, message)
        self._mark(item, ("Reconciling", "Ready", "FetchFailed"), "False", reason, message)
        self.client.status(*key, lambda status: handled(item, status))
        return min(LAST_RETRY, FIRST_RETRY * 2.0 ** (tries - 1))

    def _stalled(self, item: Json, message: str) -> None:
        reason = "InvalidChartReference"
        self.recorder.warning(item, COMPONENT, reason, message)
        self._mark(item, ("Stalled", "Ready", "FetchFailed"), "False", reason, message)
        meta = item["metadata"]
        self.client.status(
            item["kind"], meta["namespace"], meta["name"], lambda new: new.update(observedGeneration=meta["generation"])
        )


def _building(revision: str) -> str:
    return f"building artifact: new upstream revision '{revision}'"


def _place(item: Json) -> str:
    return f"{item['metadata']['namespace']}/{item['metadata']['name']}"


def _artifact(path: str, revision: str, at: str) -> Json:
    return {
        "digest": digest([path, revision]),
        "lastUpdateTime": at,
        "path": path,
        "revision": revision,
        "size": 3205,
        "url": f"http://source-controller.flux-system.svc.cluster.local./{path}",
    }
