"""Pretended Flux: source, kustomize and helm controllers, as far as causes travel through them.

Behaviour and wording are those of Flux 2.9 (checked against real recordings): one dependency named per message,
dependents poll, a parent that waits fails by its time-out, a failed upgrade without retries stalls. Beside the API it
keeps what no watcher sees: who made whom fail. That is the truth that the product must find by itself.
"""

from collections import defaultdict
from collections.abc import Callable, Generator, Iterable
from datetime import datetime
from functools import partial

from tests.random_clusters.api import Api, Controller, Idle, Json, Key, Pause, stamp
from tests.random_clusters.layout import Layout, Unit, Wish
from tests.random_clusters.workloads import is_ready, roll_out

INTERVAL, RETRY, POLL = 300.0, 30.0, 30.0
SOURCE_INTERVAL = 60.0
TIMEOUT, RELEASE_TIMEOUT = 45.0, 60.0
LOST = "failed to checkout and determine revision: unable to list remote for '{}': dial tcp: i/o timeout"
BUSY = (
    "failed to checkout and determine revision: unable to list remote for '{0}': "
    'unexpected requesting "{0}/info/refs?service=git-upload-pack" status code: 503'
)
DOWN = "failed to fetch Helm repository index: failed to fetch {}/index.yaml : 503 Service Unavailable"
FIRST_TROUBLES = {
    "build": ("BuildFailed", "kustomize build failed: accumulating resources: open apps/{}/service.yaml: no such file"),
    "substitute": (
        "BuildFailed",
        "post build failed for 'Deployment.v1.apps/{0}': substitute from 'ConfigMap/{0}-vars' error: not found",
    ),
    "denied": (
        "ReconciliationFailed",
        "Deployment/{0} dry-run failed (Invalid): ValidatingAdmissionPolicy 'only-ours' with binding 'all' denied it",
    ),
    "invalid": ("ReconciliationFailed", "Deployment/{0} dry-run failed (Invalid): spec.selector: field is immutable"),
}
"""What a Kustomization says of content that cannot be built or applied."""
Told = dict[str, tuple[str, str]]
"""Other conditions: status and message by type."""
Part = Generator[Pause, None, float]
"""A part of a run: pauses, and at its end how long to rest."""


class Flux:
    """All controllers over one layout."""

    def __init__(self, api: Api, layout: Layout) -> None:
        self.api = api
        self.layout = layout
        self.controllers: dict[Key, Controller] = {}
        self.down: set[Key] = set()
        """Sources that do not answer."""
        self.busy: set[Key] = set()
        """Sources of the one Git server that answers 503 to all of them."""
        self.blame: dict[Key, set[Key]] = defaultdict(set)
        """Whom each failing object waited for at its last failing write."""
        self.ever: dict[Key, set[Key]] = defaultdict(set)
        """The same, over all time."""
        self.outcomes: dict[Key, Callable[[], None]] = {}
        """What a release says again after each check that finds nothing to do."""
        self.failing: dict[Key, datetime] = {}
        """Since when an object fails by its own words or by another's."""

    def start(self) -> None:
        """Install the sources and what is at the top; all else is applied by these."""
        for source in self.layout.commits:
            self._begin(source, self._git(source))
        for unit in self.layout.units:
            if unit.parent is None:
                self._apply(unit, 0)
            elif unit.key[0] == "HelmRelease" and unit.source not in self.controllers:
                self._begin(unit.source, self._repository(unit.source))

    def wake(self, keys: Iterable[Key]) -> None:
        """Let these objects be looked at soon."""
        for key in keys:
            if key in self.controllers:
                self.api.wake(self.controllers[key])

    def behind(self, key: Key, edges: dict[Key, set[Key]]) -> set[Key]:
        """Return whom an object blames, directly or through others; itself included."""
        seen, todo = {key}, [key]
        while todo:
            further = edges.get(todo.pop(), set()) - seen
            todo += further
            seen |= further
        return seen

    def _begin(self, key: Key, run: Generator[Pause, None, None]) -> None:
        self.controllers[key] = self.api.start(run)

    # sources

    def _git(self, key: Key) -> Generator[Pause, None, None]:
        url = f"https://git.example.com/{key[1]}/{key[2]}.git"
        spec: Json = {"url": url, "interval": "1m", "ref": {"branch": "main"}}
        self.api.put(key, lambda body: body.update(spec=spec))
        while True:
            yield self.api.random.uniform(0.2, 1.0)
            head = len(self.layout.commits[key]) - 1
            if key in self.down | self.busy:
                said = (BUSY if key in self.busy else LOST).format(url)
                self._say(key, "False", "GitOperationFailed", said, retry=True, more={"FetchFailed": ("True", said)})
                self._fails(key)
            elif (self.api.get(key) or {}).get("status", {}).get("artifact", {}).get("revision") != revision(key, head):
                found = f"building artifact: new upstream revision '{revision(key, head)}'"
                self._say(key, "Unknown", "Progressing", found, work=found)
                yield 0.3
                self._store(key, revision(key, head))
                self._well(key)
                consumers = [unit.key for unit in self.layout.units if unit.source == key]
                self.api.at(self.api.random.uniform(0.05, 0.3), partial(self.wake, consumers))
            else:
                self._store(key, revision(key, head))
                self._well(key)
            yield Idle(SOURCE_INTERVAL)

    def _store(self, key: Key, found: str) -> None:
        message = f"stored artifact for revision '{found}'"
        self._say(key, "True", "Succeeded", message, more={"ArtifactInStorage": ("True", message)})
        artifact = {"revision": found, "lastUpdateTime": stamp(self.api.now), "digest": f"sha256:{found}"}

        def change(body: Json) -> None:
            if body["status"].get("artifact", {}).get("revision") != found:
                body["status"]["artifact"] = artifact

        self.api.put(key, change)

    def _repository(self, key: Key) -> Generator[Pause, None, None]:
        url = f"https://charts.{key[1]}.example.com"  # a server of its own: two that are down are two causes
        self.api.put(key, lambda body: body.update(spec={"url": url, "interval": "1m"}))
        while True:
            yield self.api.random.uniform(0.2, 0.8)
            if key in self.down:
                said = DOWN.format(url)
                self._say(key, "False", "Failed", said, retry=True, more={"FetchFailed": ("True", said)})
                self._fails(key)
            else:
                self._store(key, f"sha256:{key[2]}")
                self._well(key)
            yield Idle(SOURCE_INTERVAL)

    def _chart(self, key: Key, unit: Unit) -> Generator[Pause, None, None]:
        while True:
            yield self.api.random.uniform(0.2, 0.8)
            body = self.api.get(key) or {}
            version = body["spec"]["version"]
            if body.get("status", {}).get("artifact", {}).get("revision") == version:
                yield Idle(INTERVAL)
                continue
            if unit.source in self.down:
                url = f"https://charts.{unit.key[1]}.example.com/{unit.key[2]}-{version}.tgz"
                said = f"chart pull error: failed to download chart for remote reference: failed to fetch {url} : 503"
                self._say(key, "False", "ChartPullError", said, retry=True, more={"FetchFailed": ("True", said)})
                self._fails(key, unit.source)
                yield Idle(RETRY)
                continue
            if version.endswith("-missing"):
                said = f"invalid chart reference: no '{unit.key[2]}' chart with version matching '{version}' found"
                told = {"FetchFailed": ("True", said), "Stalled": ("True", said)}
                self._say(key, "False", "InvalidChartReference", said, more=told)
                self._fails(key, unit.key)
                yield Idle(INTERVAL)
                continue
            self._store(key, version)
            self._well(key)
            self.wake([unit.key])
            yield Idle(INTERVAL)

    # appliers

    def _apply(self, unit: Unit, commit: int) -> None:
        """Write the spec of a unit as this commit has it, and let its controller know."""
        commits = self.layout.commits[unit.tree]
        wish = commits[commit][unit.key]
        release = unit.key[0] == "HelmRelease"
        spec = _release_spec(unit, wish, commits) if release else _kustomization_spec(unit, wish)

        def change(body: Json) -> None:
            body["spec"] = spec
            if unit.parent is not None:
                labels = {"name": unit.parent.key[2], "namespace": unit.parent.key[1]}
                body["metadata"]["labels"] = {f"kustomize.toolkit.fluxcd.io/{key}": it for key, it in labels.items()}

        before = self.api.get(unit.key)
        self.api.put(unit.key, change)
        if before is None:
            self._begin(unit.key, self._unit(unit, self._release if release else self._kustomization))
        elif before is not self.api.get(unit.key):
            self.wake([unit.key])

    def _unit(self, unit: Unit, run: Callable[[Unit], Part]) -> Generator[Pause, None, None]:
        yield self.api.random.uniform(0.05, 0.5)
        while True:
            body = self.api.get(unit.key) or {}
            yield Idle((yield from run(unit)) if not body["spec"].get("suspend") else INTERVAL)

    def _kustomization(self, unit: Unit) -> Part:
        spec = (self.api.get(unit.key) or {})["spec"]
        source: Key = (spec["sourceRef"]["kind"], unit.key[1], spec["sourceRef"]["name"])
        found = self.api.get(source)
        if found is None:
            said = f'GitRepository.source.toolkit.fluxcd.io "{source[2]}" not found'
            return self._fail(unit, "ArtifactFailed", said, unit.key, plain=True)
        artifact = found.get("status", {}).get("artifact")
        if artifact is None:
            return self._fail(unit, "ArtifactFailed", "Source artifact not found, retrying in 30s", source, plain=True)
        for need in spec.get("dependsOn", []):
            dependency: Key = ("Kustomization", need.get("namespace", unit.key[1]), need["name"])
            if why := self._unmet(unit, dependency, source):
                self._fail(unit, "DependencyNotReady", why, self._waited(unit, dependency), plain=True)
                return POLL
        commit = int(artifact["revision"].rsplit("-", 1)[1])
        wish = self.layout.commits[unit.tree][commit][unit.key]
        for word in ("Fetching", "Building"):
            work = f"{word} manifests for revision {artifact['revision']} with a timeout of 45s"
            self._say(unit.key, "Unknown", "Progressing", "Reconciliation in progress", work=work)
            self._status(unit.key, lastAttemptedRevision=artifact["revision"])
            yield self.api.random.uniform(0.05, 0.3)
        if wish.trouble in FIRST_TROUBLES:
            reason, words = FIRST_TROUBLES[wish.trouble]
            return self._fail(unit, reason, words.format(unit.key[2]), unit.key)
        self._apply_content(unit, commit, wish)
        if unit.wait:
            failed = yield from self._wait_for(unit, artifact["revision"])
            if failed:
                return RETRY
        said = f"Applied revision: {artifact['revision']}"
        self._say(unit.key, "True", "ReconciliationSucceeded", said, more={"Healthy": ("True", "Health check passed")})
        self._status(unit.key, lastAppliedRevision=artifact["revision"])
        self._well(unit.key)
        return INTERVAL

    def _apply_content(self, unit: Unit, commit: int, wish: Wish) -> None:
        for child in unit.children:
            self._apply(child, commit)
        things = [child.key for child in unit.children] if unit.bare else [unit.workload]
        groups = {"Kustomization": "kustomize.toolkit.fluxcd.io", "HelmRelease": "helm.toolkit.fluxcd.io"}
        entries = [
            {"id": f"{key[1]}_{key[2]}_{groups.get(key[0], 'apps')}_{key[0]}", "v": "v1"} for key in sorted(things)
        ]
        self._status(unit.key, inventory={"entries": entries})
        if not unit.bare:
            roll_out(self.api, unit.workload, wish, {})

    def _wait_for(self, unit: Unit, found: str) -> Generator[Pause, None, bool]:
        """Poll what was applied until all of it is ready, or say at the time-out what is not."""
        work = f"Running health checks for revision {found} with a timeout of 45s"
        healthy = {"Healthy": ("Unknown", work)}
        self._say(unit.key, "Unknown", "Progressing", "Reconciliation in progress", work=work, more=healthy)
        things = [child.key for child in unit.children] if unit.bare else [unit.workload]
        spent = 0.0
        while waiting := [key for key in things if not is_ready(self.api.get(key))]:
            if spent >= TIMEOUT:
                listed = ", ".join(f"{'/'.join(key)} status: 'InProgress'" for key in waiting)
                said = f"timeout waiting for: [{listed}]"
                guilty = [key for key in waiting if key != unit.workload] or [unit.key]
                words = f"health check failed after 45.01s: {said}"
                self._fail(unit, "HealthCheckFailed", words, *guilty, more={"Healthy": ("False", said)})
                return True
            yield 2.5
            spent += 2.5
        return False

    def _release(self, unit: Unit) -> Part:
        spec = (self.api.get(unit.key) or {})["spec"]
        for need in spec.get("dependsOn", []):
            dependency: Key = ("HelmRelease", need.get("namespace", unit.key[1]), need["name"])
            if why := self._unmet(unit, dependency, None):
                waited = self._waited(unit, dependency)
                self._fail(unit, "DependencyNotReady", why, waited, work="Fulfilling prerequisites")
                return POLL
        version = spec["chart"]["spec"]["version"]
        chart: Key = ("HelmChart", unit.key[1], f"{unit.key[1]}-{unit.key[2]}")
        wanted = {"chart": unit.key[2], "version": version, "sourceRef": {"kind": "HelmRepository", "name": "charts"}}
        self.api.put(chart, lambda body: body.update(spec=wanted))
        if chart not in self.controllers:
            self._begin(chart, self._chart(chart, unit))
        self._status(unit.key, helmChart=f"{chart[1]}/{chart[2]}", storageNamespace=unit.key[1])
        if ((self.api.get(chart) or {}).get("status", {}).get("artifact") or {}).get("revision") != version:
            self.wake([chart])
            said = (
                f"HelmChart '{chart[1]}/{chart[2]}' is not ready: latest generation of object has not been reconciled"
            )
            asks_wrongly = version.endswith("-missing") and unit.source not in self.down
            self._fail(
                unit, "SourceNotReady", said, unit.key if asks_wrongly else chart, work="Fulfilling prerequisites"
            )
            return POLL
        status = (self.api.get(unit.key) or {})["status"]
        generation = (self.api.get(unit.key) or {})["metadata"]["generation"]
        if status.get("lastAttemptedGeneration") == generation and status.get("lastAttemptedRevision") == version:
            self.outcomes[unit.key]()  # deployed, or stalled until somebody changes it
            return INTERVAL
        action = "upgrade" if "history" in status else "install"
        running = f"Running '{action}' action with timeout of 1m0s"
        self._say(unit.key, "Unknown", "Progressing", running, work=running)
        tried = {"lastAttemptedRevision": version, "lastAttemptedGeneration": generation}
        self._status(unit.key, **tried, lastAttemptedReleaseAction=action)
        return (yield from self._release_run(unit, action, version))

    def _release_run(self, unit: Unit, action: str, version: str) -> Part:
        wish = self.layout.commits[unit.tree][int(version.split("+")[1])][unit.key]
        place = f"{unit.key[1]}/{unit.key[2]}"
        yield 0.5
        if wish.trouble == "schema":
            return self._refused(unit, action, f"values don't meet the specifications of the schema of {unit.key[2]}")
        roll_out(self.api, unit.workload, wish, {"release": place})
        spent = 0.0
        while not is_ready(self.api.get(unit.workload)):
            if spent >= RELEASE_TIMEOUT:
                return self._refused(unit, action, f"timeout waiting for: [Deployment/{place} status: 'InProgress']")
            yield 2.5
            spent += 2.5
        said = f"Helm {action} succeeded for release {place}.v{wish.version} with chart {unit.key[2]}@{version}"
        self._status(unit.key, history=[{"name": unit.key[2], "chartVersion": version, "version": wish.version}])

        def outcome() -> None:
            self._say(unit.key, "True", f"{action.title()}Succeeded", said, more={"Released": ("True", said)})
            self._well(unit.key)

        self.outcomes[unit.key] = outcome
        outcome()
        return INTERVAL

    def _refused(self, unit: Unit, action: str, why: str) -> float:
        said = f"Helm {action} failed for release {unit.key[1]}/{unit.key[2]}: {why}"
        stalled = ("True", f"Failed to {action} after 1 attempt(s)")

        def outcome() -> None:
            more = {"Released": ("False", said), "Stalled": stalled}
            self._fail(unit, f"{action.title()}Failed", said, unit.key, plain=True, more=more)

        self.outcomes[unit.key] = outcome
        outcome()
        return INTERVAL

    def _unmet(self, unit: Unit, dependency: Key, source: Key | None) -> str:
        place = f"{dependency[1]}/{dependency[2]}"
        found = self.api.get(dependency)
        if found is None:
            return f"dependency '{place}' not found: {dependency[0].lower()}s \"{dependency[2]}\" not found"
        if not is_ready(found):
            return f"dependency '{place}' is not ready"
        if source is not None and self.layout.unit(dependency).source == source == unit.source:
            current = ((self.api.get(source) or {}).get("status", {}).get("artifact") or {}).get("revision")
            if found["status"].get("lastAppliedRevision") != current:
                return f"dependency '{place}' revision is not up to date"
        return ""

    def _waited(self, unit: Unit, dependency: Key) -> Key:
        """Return who is to blame for a wait: who asks for what does not exist is at fault itself."""
        return dependency if self.api.get(dependency) is not None else unit.key

    # what is written

    def _fail(
        self,
        unit: Unit,
        reason: str,
        said: str,
        *guilty: Key,
        plain: bool = False,
        work: str = "",
        more: Told | None = None,
    ) -> float:
        self._say(unit.key, "False", reason, said, retry=not plain and not work, work=work, more=more)
        self._fails(unit.key, *guilty)
        return RETRY

    def _fails(self, key: Key, *guilty: Key) -> None:
        self.blame[key] = set(guilty) or {key}
        self.ever[key] |= self.blame[key]
        self.failing.setdefault(key, self.api.now)

    def _well(self, key: Key) -> None:
        self.blame.pop(key, None)
        self.failing.pop(key, None)

    def _status(self, key: Key, **fields: object) -> None:
        self.api.put(key, lambda body: body.setdefault("status", {}).update(fields))

    def _say(
        self, key: Key, status: str, reason: str, said: str, *, work: str = "", retry: bool = False,
        more: Told | None = None,
    ) -> None:  # fmt: skip
        """Write conditions: Reconciling while at work or before a retry, Ready, and others that stay until changed."""
        told = {
            "Ready": (status, reason, said),
            **{type_: (it[0], reason, it[1]) for type_, it in (more or {}).items()},
        }
        if work or retry:
            told["Reconciling"] = ("True", "ProgressingWithRetry" if retry else "Progressing", work or said)

        def change(body: Json) -> None:
            before = {each["type"]: each for each in body.get("status", {}).get("conditions", [])}
            keep = {} if status == "True" else {t: before[t] for t in ("Healthy", "Released") if t in before}
            now = {
                type_: _condition(body, before.get(type_), type_, *it, stamp(self.api.now))
                for type_, it in told.items()
            }
            body.setdefault("status", {})["conditions"] = list({**keep, **now}.values())
            body["status"]["observedGeneration"] = body["metadata"]["generation"]

        self.api.put(key, change)


def revision(source: Key, commit: int) -> str:
    """Return the revision of a commit; its number can be read from its end."""
    return f"main@sha1:{source[2].encode().hex():0<36.36}-{commit}"


def _condition(body: Json, before: Json | None, type_: str, status: str, reason: str, said: str, now: str) -> Json:
    since = before["lastTransitionTime"] if before is not None and before["status"] == status else now
    return {
        "type": type_, "status": status, "reason": reason, "message": said,
        "lastTransitionTime": since, "observedGeneration": body["metadata"]["generation"],
    }  # fmt: skip


def _kustomization_spec(unit: Unit, wish: Wish) -> Json:
    source = wish.source or unit.source
    spec: Json = {
        "interval": "5m", "retryInterval": "30s", "timeout": "45s", "prune": True, "wait": unit.wait,
        "path": f"./{unit.key[2]}", "sourceRef": {"kind": "GitRepository", "name": source[2]},
    }  # fmt: skip
    if wish.needs:
        spec["dependsOn"] = [{"namespace": need[1], "name": need[2]} for need in wish.needs]
    if unit.suspended:
        spec["suspend"] = True
    return spec


def _release_spec(unit: Unit, wish: Wish, commits: list[dict[Key, Wish]]) -> Json:
    first = next(index for index, tree in enumerate(commits) if tree.get(unit.key) == wish)
    suffix = "-missing" if wish.trouble == "version" else ""
    chart = {"chart": unit.key[2], "version": f"{wish.version}.0.0+{first}{suffix}"}
    chart["sourceRef"] = {"kind": "HelmRepository", "name": "charts"}  # type: ignore[assignment]
    spec: Json = {"interval": "5m", "timeout": "60s", "chart": {"spec": chart}}
    if wish.needs:
        spec["dependsOn"] = [{"namespace": need[1], "name": need[2]} for need in wish.needs]
    return spec
