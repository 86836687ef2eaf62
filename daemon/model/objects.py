"""What is known of one Kubernetes object: the part of it that decisions are made of.

`text` is the object's JSON without managed fields, and is parsed only where an expression must see it:
ten thousand Kustomizations as dictionaries alone would take 220 MB (5.6 kB as text, 22 kB as a dictionary).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from daemon.model.refs import ObjectRef


class Health(StrEnum):
    """Where an object stands: kstatus's words, and two that Flux needs (Blocked, Suspended)."""

    CURRENT = "Current"
    IN_PROGRESS = "InProgress"
    FAILED = "Failed"
    BLOCKED = "Blocked"
    SUSPENDED = "Suspended"
    TERMINATING = "Terminating"
    NOT_FOUND = "NotFound"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Condition:
    """One entry of status.conditions. `changed_at` moves with reason and message too: it is not "failing since"."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    observed_generation: int | None = None
    changed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Writer:
    """Who wrote to the object, by its managed fields in brief."""

    manager: str
    operation: str
    subresource: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Dependency:
    """One entry of spec.dependsOn; with a readyExpr, Flux asks that instead of Ready."""

    ref: ObjectRef
    ready_expr: str = ""


@dataclass(frozen=True, slots=True)
class Replicas:
    """How many pods a workload wants and has. `observed` is false while its controller is behind the spec."""

    desired: int
    ready: int
    updated: int
    available: int
    observed: bool = True
    old: int = 0
    """Pods of an earlier template that still run: a Deployment keeps them until the new ones are available."""

    @property
    def complete(self) -> bool:
        """Say whether every wanted pod is of the present template, ready and available, and no other is left."""
        return self.observed and not self.old and min(self.ready, self.updated, self.available) >= self.desired


@dataclass(frozen=True, slots=True)
class ReleaseRevision:
    """One revision of a Helm release as a HelmRelease's status.history records it."""

    version: int
    status: str
    chart: str = ""
    chart_version: str = ""
    first_deployed: datetime | None = None
    last_deployed: datetime | None = None


@dataclass(frozen=True, slots=True)
class HelmTarget:
    """Which Helm release a HelmRelease manages, and what it did so far (newest revision first)."""

    release: str
    namespace: str
    storage_namespace: str
    history: tuple[ReleaseRevision, ...] = ()
    chart: str = ""
    version: str = ""

    @property
    def in_force(self) -> tuple[ReleaseRevision, ...]:
        """Return the revisions that are, or were, in force: Helm calls the one deployed, the others superseded."""
        return tuple(each for each in self.history if each.status in ("deployed", "superseded"))


@dataclass(frozen=True, slots=True)
class PodTrouble:
    """Why a pod is not well: the first container's waiting or terminated reason, or the pod's own."""

    reason: str
    message: str = ""
    container: str = ""


@dataclass(frozen=True, slots=True)
class ObjectState:
    """One object at one moment, decoded. Durations are seconds; absent facts are None or empty."""

    ref: ObjectRef
    uid: str = ""
    version: str = ""
    resource_version: str = ""
    generation: int = 0
    observed_generation: int | None = None
    created_at: datetime | None = None
    deleted_at: datetime | None = None
    finalizers: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    owners: tuple[ObjectRef, ...] = ()
    writers: tuple[Writer, ...] = ()
    conditions: tuple[Condition, ...] = ()
    suspended: bool = False
    depends_on: tuple[Dependency, ...] = ()
    source: ObjectRef | None = None
    inputs: tuple[ObjectRef, ...] = ()
    """What a source is itself put together of: included repositories, the sources of a generator, the generator."""
    needs: tuple[ObjectRef, ...] = ()
    """ConfigMaps, Secrets and ServiceAccounts that the spec names and that are not optional."""
    credentials: tuple[ObjectRef, ...] = ()
    """Of these the Secrets by which it logs in, or decrypts."""
    contains: tuple[ObjectRef, ...] = ()
    """status.inventory, sorted."""
    health_checks: tuple[ObjectRef, ...] = ()
    wait: bool = False
    prune: bool = False
    path: str = ""
    interval: float | None = None
    retry_interval: float | None = None
    timeout: float | None = None
    leaving: float | None = None
    """Seconds that its own deletion may rightly take, where its spec says so: it waits for what it takes along."""
    applied_revision: str = ""
    attempted_revision: str = ""
    artifact_revision: str = ""
    upstream: str = ""
    """What a source fetches: its kind, address and reference. Two sources with one upstream must tell one revision."""
    artifact_author: str = ""
    """What an OCI artifact's annotations say of who made it."""
    requested_at: str = ""
    handled_at: str = ""
    replicas: Replicas | None = None
    helm: HelmTarget | None = None
    pod: PodTrouble | None = None
    node: ObjectRef | None = None
    """Where a pod runs."""
    selector: Mapping[str, str] = field(default_factory=dict)
    text: str = ""

    def condition(self, kind: str) -> Condition | None:
        """Return the condition of that type, or None."""
        for condition in self.conditions:
            if condition.type == kind:
                return condition
        return None

    @property
    def ready(self) -> Condition | None:
        """Return the Ready condition, or None before the first reconcile."""
        return self.condition("Ready")
