"""What a story is told with: a namespace in a real cluster, Git, charts, people who listen, and the daemon."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.cluster import manifests
from tests.cluster.api import Api, Raw
from tests.cluster.eventually import eventually, never
from tests.cluster.plane import Plane
from tests.cluster.repositories import Repositories
from tests.cluster.watchman import Told, Watchman, listening

SOURCE = "fleet"
"""The Git repository that a story's Kustomizations come from."""


def condition(raw: Raw | None, kind: str = "Ready") -> Raw:
    """Return one condition of an object; empty when there is none."""
    found = (raw or {}).get("status", {}).get("conditions", ())
    return next((each for each in found if each["type"] == kind), {})


@dataclass(slots=True)
class Story:
    """Everything one test can do and see."""

    name: str
    """Its namespace, which nobody else uses."""
    folder: Path
    plane: Plane
    api: Api
    repositories: Repositories
    told: Told
    watchmen: list[Watchman] = field(default_factory=list)
    files: dict[str, object] = field(default_factory=dict)

    async def watchman(self, name: str = "daemon", kubeconfig: Path | None = None, **settings: str) -> Watchman:
        """Start a daemon and wait until it is ready."""
        given = {"HELM_STORAGE": "true", **settings}
        made = Watchman(
            self.folder / name,
            kubeconfig or self.plane.kubeconfig,
            self.told.slack_address,
            self.told.sink.address,
            **given,
        )
        self.watchmen.append(made)
        return await made.start()

    async def apply(self, *objects: Mapping[str, object]) -> None:
        """Apply objects by hand."""
        await self.api.apply(*objects)

    async def source(self, files: Mapping[str, object], name: str = SOURCE) -> str:
        """Push files and have a GitRepository that follows them; return the revision."""
        self.files = dict(files)
        revision = self.repositories.push(name, files, "Begin")
        await self.apply(manifests.git_repository(self.name, name, self.repositories.url(name)))
        return revision

    async def push(self, changed: Mapping[str, object | None], message: str = "Change", name: str = SOURCE) -> str:
        """Push changed files (None: removed) and have Flux look at once, as its Receiver would; return the revision."""
        self.files = {path: content for path, content in {**self.files, **changed}.items() if content is not None}
        revision = self.repositories.push(name, self.files, message)
        await self.ask("GitRepository", name)
        return revision

    async def ask(self, kind: str, name: str, namespace: str = "") -> None:
        """Ask Flux to reconcile an object now, as `flux reconcile` does."""
        stamp = datetime.now(UTC).isoformat()
        change = {"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": stamp}}}
        await self.api.patch(kind, namespace or self.name, name, change)

    async def fleet(self, names: Mapping[str, Sequence[str]], **spec: object) -> None:
        """Have one Kustomization a name, each with a Deployment of its own, depending on the others as given."""
        files = {f"{each}/all.yaml": manifests.deployment(self.name, each) for each in names}
        await self.source(files)
        for each, needed in names.items():
            await self.apply(manifests.kustomization(self.name, each, SOURCE, f"./{each}", needed, **spec))
        for each in names:
            await self.ready("Kustomization", each)

    async def ready(
        self, kind: str, name: str, namespace: str = "", *, status: str = "True", reason: str = "", within: float = 120
    ) -> Raw:
        """Wait until an object's Ready is as given at its present generation, and return the object."""
        place = namespace or self.name

        async def look() -> Raw:
            return await self.api.get(kind, place, name) or {}

        def holds(raw: Raw) -> bool:
            found = condition(raw)
            settled = found.get("observedGeneration") == raw.get("metadata", {}).get("generation")
            return bool(settled and found.get("status") == status and reason in ("", found.get("reason")))

        words = f"{kind} {place}/{name} to be Ready={status} {reason}"
        return await eventually(words, look, holds, within=within)

    async def applied(self, revision: str, *names: str, within: float = 240) -> None:
        """Wait until Kustomizations have applied a revision."""
        for name in names:

            async def look(name: str = name) -> Raw:
                return await self.api.get("Kustomization", self.name, name) or {}

            def holds(raw: Raw) -> bool:
                return bool(raw["status"].get("lastAppliedRevision") == revision and condition(raw)["status"] == "True")

            await eventually(f"Kustomization {name} at {revision}", look, holds, within=within)

    async def incident(
        self, watchman: Watchman, root: str, *, state: str = "", within: float = 120, namespace: str = ""
    ) -> Raw:
        """Wait for the one incident of this story's namespace, and that its root is KIND/NAME; return it."""

        async def look() -> list[Raw]:
            return await watchman.incidents(namespace or self.name)

        def holds(found: list[Raw]) -> bool:
            return len(found) == 1 and root_of(found[0]) == root and state in ("", found[0]["state"])

        words = f"one incident with root {root} {state}"
        return (await eventually(words, look, holds, within=within))[0]

    async def blamed(self, watchman: Watchman, incident: str, words: str, within: float = 60) -> Raw:
        """Wait until an incident's cause has these words: what broke below is looked up after it opened."""

        async def look() -> Raw:
            return next((each for each in await watchman.incidents() if each["id"] == incident), {})

        def holds(found: Raw) -> bool:
            return words.lower() in found.get("cause", "").lower()

        return await eventually(f"a cause with {words!r}", look, holds, within=within)

    async def quiet(self, watchman: Watchman, seconds: float) -> None:
        """See that nothing is opened for this story's namespace for so long."""
        await never("an incident is open", lambda: watchman.incidents(self.name), bool, for_seconds=seconds)

    async def resolved(self, watchman: Watchman, incident: str, within: float = 180) -> Raw:
        """Wait until an incident is resolved and return it."""

        async def look() -> Raw:
            found = [each for each in await watchman.incidents() if each["id"] == incident]
            return found[0] if found else {}

        return await eventually(f"incident {incident} to be resolved", look, is_resolved, within=within)


def is_resolved(incident: Raw) -> bool:
    """Say whether an incident is over."""
    return incident.get("state") == "resolved"


def root_of(incident: Raw) -> str:
    """Return KIND/NAME of an incident's root."""
    return f"{incident['root']['kind']}/{incident['root']['name']}"


def members_of(incident: Raw) -> set[str]:
    """Return KIND/NAME of everything that waits for an incident's root."""
    return {f"{each['kind']}/{each['name']}" for each in incident["members"]}


@asynccontextmanager
async def told_in(name: str, folder: Path, plane: Plane, api: Api) -> AsyncIterator[Story]:
    """Open everything that a story needs and close it at its end."""
    async with AsyncExitStack() as stack:
        repositories = await stack.enter_async_context(Repositories(folder / "repositories").served())
        told = await stack.enter_async_context(listening())
        await api.apply(manifests.namespace(name))
        story = Story(name, folder, plane, api, repositories, told)
        try:
            yield story
        finally:
            for watchman in story.watchmen:
                await asyncio.to_thread(watchman.process.stop)
