"""Values for tests of the core, spelled the short way: objects as Flux would show them, and a World to play them in.

Everything here is a real value of the model; nothing stands in for our own code.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from daemon.engine.step import adopt, next_deadline, step
from daemon.engine.world import Case, Limits, World
from daemon.model.effects import Effect, Send
from daemon.model.objects import Condition, Dependency, HelmTarget, ObjectState, Replicas
from daemon.model.refs import ObjectRef, Target
from daemon.model.remedies import Mode
from daemon.model.signals import ObjectChanged, ObjectGone, Signal, Synced, Tick
from daemon.rules.compile import compile_rules
from daemon.rules.ruleset import RuleSet

T0 = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
GROUPS = {
    "Kustomization": "kustomize.toolkit.fluxcd.io",
    "HelmRelease": "helm.toolkit.fluxcd.io",
    "GitRepository": "source.toolkit.fluxcd.io",
    "HelmRepository": "source.toolkit.fluxcd.io",
    "HelmChart": "source.toolkit.fluxcd.io",
    "OCIRepository": "source.toolkit.fluxcd.io",
    "Deployment": "apps",
    "DaemonSet": "apps",
    "ReplicaSet": "apps",
}
RULES = """
apiVersion: fluxmedic.dev/v1
kind: Rule
metadata: {name: failed}
spec:
  match: {kind: [Kustomization, HelmRelease, GitRepository, HelmRepository, HelmChart, OCIRepository], health: Failed}
  for: 5s
  severity: critical
  summary: "{{ ref.kind }} {{ ref.namespace }}/{{ ref.name }} fails: {{ ready.reason }}"
  next_step: "flux get all -n {{ ref.namespace }}"
  examples:
    - {name: fires, given: [{ready: "False", reason: BuildFailed}], after: 6s, expect: {state: firing}}
    - {name: waits, given: [{ready: "False", reason: BuildFailed}], after: 2s, expect: {state: pending}}
"""


def ref(kind: str, name: str, namespace: str = "apps") -> ObjectRef:
    """Return a ref in the test cluster."""
    return ObjectRef("default", GROUPS.get(kind, ""), kind, namespace, name)


class Cluster:
    """Makes successive states of objects: versions and generations grow as an API server's would."""

    def __init__(self) -> None:
        """Begin at resource version 1."""
        self.version = 0
        self.uids: dict[ObjectRef, int] = {}

    def state(self, kind: str, name: str, *conditions: Condition, namespace: str = "apps", **more: Any) -> ObjectState:
        """Return one object with these conditions; generation 1 and observed unless told otherwise."""
        self.version += 1
        where = ref(kind, name, namespace)
        uid = f"uid-{self.uids.setdefault(where, 1)}"
        facts: dict[str, object] = {"uid": uid, "generation": 1, "observed_generation": 1, **more}
        return ObjectState(where, resource_version=str(self.version), conditions=conditions, **facts)  # type: ignore[arg-type]

    def recreate(self, where: ObjectRef) -> None:
        """Let the next state of this object have another uid."""
        self.uids[where] = self.uids.get(where, 1) + 1


def ready(reason: str = "ReconciliationSucceeded", message: str = "Applied revision: main@sha1:abc") -> Condition:
    """Return Ready=True."""
    return Condition("Ready", "True", reason, message, 1)


def failing(reason: str = "BuildFailed", message: str = "kustomize build failed: no such file") -> Condition:
    """Return Ready=False for a reason."""
    return Condition("Ready", "False", reason, message, 1)


def progressing(message: str = "Reconciliation in progress") -> Condition:
    """Return Ready=Unknown."""
    return Condition("Ready", "Unknown", "Progressing", message, 1)


def waiting(dependency: str, why: str = "is not ready") -> Condition:
    """Return Ready=False because of a dependency, as Flux words it."""
    return Condition("Ready", "False", "DependencyNotReady", f"dependency '{dependency}' {why}", 1)


def unhealthy(*items: str) -> Condition:
    """Return Ready=False of a failed health check over these items (Kind/ns/name)."""
    listed = ", ".join(f"{item} status: 'InProgress'" for item in items)
    return failing("HealthCheckFailed", f"health check failed after 30.0s: timeout waiting for: [{listed}]")


def needs(*refs: ObjectRef) -> tuple[Dependency, ...]:
    """Return dependsOn entries."""
    return tuple(Dependency(each) for each in refs)


def pods(have: int, want: int) -> Replicas:
    """Return replicas of a workload."""
    return Replicas(want, have, want, have)


def helm(name: str, namespace: str = "apps") -> HelmTarget:
    """Return a Helm target in its own namespace."""
    return HelmTarget(name, namespace, namespace)


@cache
def compiled(rules: str) -> RuleSet:
    """Return these rules, compiled once: nothing changes a RuleSet, and compiling takes most of a short story."""
    return compile_rules([("test.yaml", rules)])


class Story:
    """A World with its effects written down, played second by second."""

    def __init__(self, rules: str | RuleSet = RULES, mode: Mode = Mode.OBSERVE, **limits: Any) -> None:
        """Make an awake World with these rules and one target."""
        settings: dict[str, object] = {"mode": mode, "targets": (Target("slack"),), **limits}
        self.world = World(limits=Limits(**settings))  # type: ignore[arg-type]
        self.at = T0
        self.effects: list[Effect] = []
        ruleset = compiled(rules) if isinstance(rules, str) else rules
        self.effects += adopt(self.world, ruleset, self.at)
        self.give(Synced(self.at, "everything"))

    def give(self, *signals: Signal) -> "Story":
        """Give signals at their own time, with every Tick that is due before."""
        for signal in signals:
            self._until(signal.at)
            self.effects += step(self.world, signal)
        return self

    def see(self, *states: ObjectState) -> "Story":
        """Let objects be seen now."""
        return self.give(*(ObjectChanged(self.at, state) for state in states))

    def lose(self, *refs: ObjectRef) -> "Story":
        """Let objects be deleted now."""
        return self.give(*(ObjectGone(self.at, each) for each in refs))

    def wait(self, seconds: float) -> "Story":
        """Let time pass."""
        self.at += timedelta(seconds=seconds)
        self._until(self.at)
        return self

    def _until(self, at: datetime) -> None:
        while (due := next_deadline(self.world)) is not None and due <= at:
            self.effects += step(self.world, Tick(due))

    @property
    def cases(self) -> list[Case]:
        """Return every case, oldest first."""
        return sorted(self.world.cases.values(), key=lambda case: (case.incident.opened_at, case.incident.id))

    @property
    def case(self) -> Case:
        """Return the only case."""
        assert len(self.cases) == 1, [case.incident.title for case in self.cases]
        return self.cases[0]

    @property
    def reasons(self) -> list[str]:
        """Return the reasons of all notifications so far."""
        return [effect.notification.reason.value for effect in self.effects if isinstance(effect, Send)]

    def members(self) -> set[str]:
        """Return the members of the only case as Kind/ns/name."""
        return {str(member.ref) for member in self.case.incident.members}


def names(refs: Iterable[ObjectRef]) -> list[str]:
    """Return the names of refs."""
    return [each.name for each in refs]
