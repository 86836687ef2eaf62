"""The one line that says why: the root's own words, sharpened by what stands below them.

`context deadline exceeded` is never the cause where a workload or a pod is known that explains it.
"""

import re

from daemon.engine.controllers import CONTROLLERS
from daemon.engine.graph import owners_of
from daemon.engine.health import last_writer
from daemon.engine.lineage import below, blamed_refs, pods_of
from daemon.engine.release import workloads_of
from daemon.engine.world import Case, Known, World
from daemon.flux.culprit import culprit_of, without_empty_talk
from daemon.model.findings import Severity
from daemon.model.incidents import Change, Member
from daemon.model.objects import Health, ObjectState
from daemon.model.refs import ObjectRef

CAUSE_LENGTH = 300
HEAD_LENGTH = 150
"""Characters that the root and its own words keep at least, however much there is to say below it."""
BELOW = " — "
TELLING = ("PersistentVolumeClaim", "Job")
"""Kinds that a check waits for and that have no pods of their own to ask, or whose own events say it best."""
BEGUN = ("Pending", "ContainerCreating", "PodInitializing")
TROUBLE = re.compile(rf" — .*\((?!(?:{'|'.join(BEGUN)})\b)")
"""A pod's trouble at the end of a cause; that a pod has only begun is none."""
COMMIT = re.compile(r"^stored artifact for commit '(?P<subject>.*)'$", re.DOTALL)


def cause_of(world: World, case: Case) -> str:
    """Return the best known cause of an incident in one line; the one it has, when nothing better is known now."""
    root = case.incident.root
    told = _own_words(world, root, quiet=case.incident.severity is Severity.INFO) or (
        "" if case.incident.cause else _members_words(world, case) or _rules_words(world, root)
    )
    if not told:
        return case.incident.cause
    down, below = _below(world, case)
    line = f"{root.kind} {root.place}: {without_empty_talk(told) if down is not None else told}"
    if down is not None and below not in line:
        if f": {down.kind}/{down.namespace}/{down.name} " in line:
            below = below.removeprefix(f"{down.kind} {down.place} ")  # named already
        line = f"{line[: max(CAUSE_LENGTH - len(below) - len(BELOW), HEAD_LENGTH)]}{BELOW}{below}"
    return line[:CAUSE_LENGTH]


def is_poorer(told: str, known: str) -> bool:
    """Say whether a line says of the same failure less than is known: no pod's trouble, only how the pods count up.

    While a repair rolls out the pods come and go, and none of that is why it broke.
    """
    heads = [line.split(BELOW, maxsplit=1)[0] for line in (told, known)]
    for ending in TAKEN_BACK.values():  # when all is rolled back, nothing is down that could say why
        heads[0] = heads[0].removesuffix(f"; {ending}")
    return heads[0] == heads[1].removesuffix(";") and TROUBLE.search(told) is None


def change_of(world: World, root: ObjectRef) -> Change:
    """Return what changed before it broke, as far as the root, its owner and its source say."""
    known = world.known(root)
    if known is None:
        return Change()
    state = known.state
    owners = owners_of(world, root)
    owner = world.known(owners[0]) if owners else None
    source = (owner.state if owner else state).source
    last_good, failing = _revisions(known, owner)
    return Change(
        last_good=last_good,
        failing=failing,
        commit=_commit(world, source),
        source=str(source) if source else "",
        owner=f"{owner.state.ref} (path {owner.state.path})" if owner else "",
        author=_author(world, source),
        controller=CONTROLLERS.get(root.group, ""),
        writer=_writer(state),
    )


def _author(world: World, source: ObjectRef | None) -> str:
    known = world.known(source) if source is not None else None
    return known.state.artifact_author if known is not None else ""


def _writer(state: ObjectState) -> str:
    writer = last_writer(state)
    return f"{writer.manager}, {writer.at:%Y-%m-%d %H:%M:%S} UTC" if writer is not None else ""


def workload_line(state: ObjectState) -> str:
    """Return how many pods a workload has of those it wants."""
    replicas = state.replicas
    if replicas is None:
        return f"{state.ref.kind} {state.ref.place}"
    line = f"{state.ref.kind} {state.ref.place} {replicas.ready}/{replicas.desired} ready"
    if replicas.old and replicas.desired <= replicas.ready:
        line += f", {replicas.old} of the old template"
    elif replicas.updated < replicas.desired <= replicas.ready:
        line += f", {replicas.updated}/{replicas.desired} of the new template"
    return line


def pod_trouble(world: World, workload: ObjectRef) -> str:
    """Return why the pods of a workload are not well, the most frequent trouble first; empty when none is known."""
    troubles: dict[str, int] = {}
    for pod in pods_of(world, workload):
        if pod.state.pod is not None:
            text = ": ".join(part for part in (pod.state.pod.reason, pod.state.pod.message) if part)
            troubles[text] = troubles.get(text, 0) + 1
    told = max(troubles, key=lambda text: (troubles[text], text), default="")
    return _refused(world, workload) or told if told.partition(":")[0] in ("", *BEGUN) else told


def _refused(world: World, workload: ObjectRef) -> str:
    """Return the last warning about a workload or its replica sets (quota, admission), else about a pod not ready.

    Of a pod only what it said last, if that is a warning: what was overcome is no cause.
    """
    above = (*(each for each in below(world, workload) if each.kind != "Pod"), workload)
    told = next(filter(None, (_warned(world, ref) for ref in above)), "")
    waiting = (pod.state.ref for pod in pods_of(world, workload) if not _is_ready(pod))
    last = [events[-1] for ref in waiting if (events := world.events.get(ref)) and events[-1].warning]
    latest = max(last, key=lambda event: (str(event.happened_at or event.at), event.ref), default=None)
    return told or (f"{latest.reason}: {culprit_of(latest.message)}" if latest is not None else "")


def _is_ready(pod: Known) -> bool:
    return pod.state.ready is not None and pod.state.ready.status == "True"


def _warned(world: World, ref: ObjectRef) -> str:
    """Return the last warning about an object."""
    warnings = [event for event in world.events.get(ref, ()) if event.warning]
    return f"{warnings[-1].reason}: {culprit_of(warnings[-1].message)}" if warnings else ""


def _own_words(world: World, root: ObjectRef, *, quiet: bool) -> str:
    """A detector's summary knows more than the condition; else the failing condition's line that matters.

    What only informs names the cause of nothing but a quiet incident.
    """
    known = world.known(root)
    failed = known.failed if known is not None else None
    if known is not None and root.kind == "Namespace" and known.state.deleted_at is not None:
        held = [each.message for each in known.state.conditions if each.status == "True"]
        return f"is Terminating and does not end: {culprit_of(held[-1])}" if held else "is Terminating and does not end"
    for finding in world.firing(root):
        if quiet or (finding.test in DETECTED and finding.severity and not (failed and finding.test in STANDING)):
            return finding.summary
    if known is not None and failed is None and known.health is Health.SUSPENDED:
        ready = known.state.ready
        before = f", and failed before: {culprit_of(ready.message)}" if ready and ready.status == "False" else ""
        return f"is suspended{before}"
    if known is None or failed is None:
        return ""
    if failed.reason in TAKEN_BACK:
        return f"{culprit_of(known.refused or failed.message)}; {TAKEN_BACK[failed.reason]}"
    return culprit_of(failed.message) or failed.reason


def _members_words(world: World, case: Case) -> str:
    """What the first failing member says, where the root itself says nothing (a source that still looks Ready)."""
    for member in sorted(case.incident.members, key=_by_joining):
        known = world.known(member.ref)
        if known is not None and known.failed is not None and member.ref != case.incident.root:
            return culprit_of(known.failed.message)
    return ""


def _rules_words(world: World, root: ObjectRef) -> str:
    """What the rule says that found it, where no condition tells of a failure (it saw it in an event)."""
    return next((finding.summary for finding in world.firing(root)), "")


def _below(world: World, case: Case) -> tuple[ObjectRef | None, str]:
    """The workload that is down below the root, and the line about it with its pods' trouble."""
    known = world.known(case.incident.root)
    own = set(blamed_refs(world, known)) | workloads_of(world, known.state) if known is not None else set()
    candidates = [*sorted(own), *sorted(case.workloads - own)]
    for ref in (each for each in candidates if each.kind in TELLING):
        told = _warned(world, ref)
        if told:
            return ref, f"{ref.kind} {ref.place} ({told})"
    for ref in candidates:
        other = world.known(ref)
        if other is None or other.state.replicas is None or other.state.replicas.complete:
            continue
        trouble = pod_trouble(world, ref)
        return ref, f"{workload_line(other.state)}{f' ({trouble})' if trouble else ''}"
    return None, ""


def _revisions(known: Known, owner: Known | None) -> tuple[str, str]:
    """Return the last good and the failing revision, both of the object or both of who applies it.

    A release whose chart stayed the same fails of its values: then the revision in Git tells.
    """
    good, failing = _good(known), known.state.attempted_revision
    if owner is not None and (not good or not failing or good == failing):
        above = _good(owner), owner.state.attempted_revision
        return above if all(above) else (good or above[0], failing or above[1])
    return good, failing


def _good(known: Known) -> str:
    """Return the last revision that was well: as we saw it, or as the status still tells of it."""
    if known.last_good:
        return known.last_good
    helm = known.state.helm
    return helm.in_force[0].chart_version if helm is not None and helm.in_force else known.state.applied_revision


def _commit(world: World, source: ObjectRef | None) -> str:
    """Return the subject of the newest commit that the source's events name."""
    for event in reversed(world.events.get(source, ()) if source else ()):
        found = COMMIT.match(event.message)
        if found:
            return found["subject"]
    return ""


def _by_joining(member: Member) -> tuple[object, ObjectRef]:
    return (member.joined_at, member.ref)


DETECTED = frozenset(
    {
        "dependency-cycle",
        "dependency-missing",
        "source-missing",
        "waits-on-itself",
        "stuck-deletion",
        "not-observed",
        "suspended-blocks",
        "two-owners",
        "released-twice",
        "drift-fight",
        "kind-missing",
        "ready-expr-unmet",
        "controller-down",
        "controller-silent",
        "run-unfinished",
        "source-behind",
        "revision-unapplied",
        "release-contended",
        "need-missing",
        "request-unhandled",
    }
)
"""Detectors whose summary is the cause. Severity info only tells; it never names the cause of a failure."""
STANDING = frozenset({"drift-fight", "suspended-blocks"})
"""Of these, what goes on while all is Ready: what then fails, fails by its own words."""
TAKEN_BACK = {"RollbackSucceeded": "rolled back", "UninstallSucceeded": "uninstalled again"}
"""Reasons of a failed HelmRelease whose message praises the remediation (helm-controller, api/v2)."""
