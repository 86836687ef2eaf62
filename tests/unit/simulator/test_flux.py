"""The simulated controllers against what real Flux was seen to do; time is stepped by hand, no HTTP."""

from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from daemon.simulator.api.errors import ApiError
from daemon.simulator.flux import helm_storage
from daemon.simulator.flux.client import REQUESTED, Client
from daemon.simulator.flux.controllers import TICK
from daemon.simulator.flux.git import Chart
from daemon.simulator.flux.status import condition, duration, kstatus, seconds
from daemon.simulator.flux.workloads import Trouble
from daemon.simulator.scenarios import parts
from daemon.simulator.server import SimulatedCluster

Json = dict[str, Any]
BAD = "registry.example.com/app:bad"


class HandClock:
    """Moves only when it is told to."""

    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> datetime:
        return datetime(2026, 3, 1, 8, 0, tzinfo=UTC) + timedelta(seconds=self.at)

    def monotonic(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(f"nothing sleeps here, least of all for {seconds} s")

    async def within(self, seconds: float, work: Awaitable[None]) -> bool:
        raise AssertionError(f"nothing waits here for {work} at most {seconds} s")


class Lab:
    """A cluster with one GitRepository, three nodes and a hand on the clock."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.cluster = SimulatedCluster(self.clock)
        self.person = Client(self.cluster.store, "person")
        parts.add_nodes(self.cluster, "node")
        self.cluster.put(parts.namespace("app"))
        self.cluster.put(parts.git_repository("ssh://git.example.com/app"))
        trouble = Trouble(lambda spec: spec["containers"][0]["image"] == BAD, "CrashLoopBackOff", "exit status 1")
        self.cluster.controllers.workloads.troubles.append(trouble)

    def live(self, seconds: float) -> None:
        for _ in range(round(seconds / TICK)):
            self.clock.at = round(self.clock.at + TICK, 6)
            self.cluster.controllers.queue.step()

    def kustomization(self, name: str) -> Json:
        found = self.cluster.get("Kustomization", "flux-system", name)
        assert found is not None
        return found

    def ready(self, name: str) -> tuple[str, str, str]:
        row = condition(self.kustomization(name), "Ready")
        assert row is not None
        return row["status"], row["reason"], row["message"]

    def release(self) -> Json:
        found = self.cluster.get("HelmRelease", "app", "web")
        assert found is not None
        return found

    def events(self, kind: str, name: str) -> list[tuple[str, str, int, str]]:
        rows = [one for one in self.person.all("Event") if one["involvedObject"]["name"] == name]
        rows = [one for one in rows if one["involvedObject"]["kind"] == kind]
        return [(one["type"], one["reason"], one["count"], one["message"]) for one in rows]

    def request(self, kind: str, namespace: str, name: str, token: str) -> None:
        def annotate(item: Json) -> None:
            item["metadata"].setdefault("annotations", {})[REQUESTED] = token

        self.person.change(kind, namespace, name, annotate)

    def storage(self) -> list[tuple[int, str]]:
        return [(one.version, one.status) for one in helm_storage.revisions(self.person, "app", "web")]


def web(values: Json) -> list[Json]:
    return [parts.deployment("app", "web", values.get("image", "registry.example.com/app:1"))]


def helm_release(**values: str) -> Json:
    source = {"kind": "HelmRepository", "name": "charts", "namespace": "flux-system"}
    return {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": {"name": "web", "namespace": "app"},
        "spec": {
            "interval": "10m",
            "timeout": "20s",
            "chart": {"spec": {"chart": "web", "version": "1.0.0", "sourceRef": source}},
            "values": values,
        },
    }


@pytest.fixture
def lab() -> Lab:
    return Lab()


@pytest.fixture
def helm(lab: Lab) -> Lab:
    lab.cluster.put(parts.helm_repository("charts", "https://charts.example.com"))
    lab.cluster.outside.add_chart(Chart("web", "1.0.0", web, "1.0"))
    return lab


def merge_spec(spec: Json, item: Json) -> None:
    item["spec"].update(spec)


def adopt_and_break(lab: Lab) -> None:
    lab.cluster.controllers.cli.upgrade("app", "web", Chart("web", "1.0.0", web, "1.0"), {})
    lab.live(10)
    lab.cluster.put(helm_release(image=BAD))
    lab.live(30)


# Git and Kustomizations


def test_a_push_becomes_an_artifact_and_is_applied(lab: Lab) -> None:
    lab.cluster.put(parts.kustomization("apps", "apps", wait=True))
    commit = lab.cluster.push("feat: web", {"apps": [parts.deployment("app", "web", "registry.example.com/app:1")]})
    lab.live(15)
    revision = f"main@sha1:{commit.sha}"
    assert lab.ready("apps") == ("True", "ReconciliationSucceeded", f"Applied revision: {revision}")
    status = lab.kustomization("apps")["status"]
    assert (status["lastAppliedRevision"], status["observedGeneration"]) == (revision, 1)
    assert status["inventory"]["entries"] == [{"id": "app_web_apps_Deployment", "v": "v1"}]
    assert status["history"][0]["lastReconciledStatus"] == "ReconciliationSucceeded"


def test_a_run_tells_its_changes_its_health_and_its_end(lab: Lab) -> None:
    lab.cluster.put(parts.kustomization("apps", "apps", wait=True))
    lab.cluster.push("feat: web", {"apps": [parts.config_map("app", "web")]})
    lab.live(5)
    told = [(kind, reason, text.split(" in ")[0]) for kind, reason, _, text in lab.events("Kustomization", "apps")]
    assert ("Normal", "Progressing", "ConfigMap/app/web created") in told
    assert ("Normal", "Progressing", "Health check passed") in told
    assert ("Normal", "ReconciliationSucceeded", "Reconciliation finished") in told


def test_a_kustomization_without_its_source_is_silent_but_for_its_condition(lab: Lab) -> None:
    wanted = parts.kustomization("apps", "apps")
    wanted["spec"]["sourceRef"] = {"kind": "GitRepository", "name": "missing"}
    lab.cluster.put(wanted)
    lab.live(2)
    text = 'GitRepository.source.toolkit.fluxcd.io "missing" not found'
    assert lab.ready("apps") == ("False", "ArtifactFailed", text)
    assert lab.events("Kustomization", "apps") == []


def test_a_missing_path_fails_and_is_tried_again_at_the_retry_interval(lab: Lab) -> None:
    lab.cluster.put(parts.kustomization("apps", "apps"))
    lab.cluster.push("chore: nothing yet", {"other": []})
    lab.live(5)
    assert lab.ready("apps")[1] == "ArtifactFailed"
    assert "kustomization path not found" in lab.ready("apps")[2]
    lab.cluster.push("feat: the path", {"apps": [parts.config_map("app", "a")]})
    lab.live(20)
    assert lab.ready("apps")[0] == "True"


def test_an_object_in_a_missing_namespace_applies_nothing(lab: Lab) -> None:
    lab.cluster.put(parts.kustomization("apps", "apps"))
    lab.cluster.push("feat: x", {"apps": [parts.config_map("app", "a"), parts.config_map("nowhere", "b")]})
    lab.live(5)
    assert lab.ready("apps")[1] == "ReconciliationFailed"
    assert 'namespaces "nowhere" not found' in lab.ready("apps")[2]
    assert lab.cluster.get("ConfigMap", "app", "a") is None


def test_what_leaves_git_is_pruned_unless_told_otherwise(lab: Lab) -> None:
    kept = parts.config_map("app", "kept")
    kept["metadata"]["annotations"] = {"kustomize.toolkit.fluxcd.io/prune": "disabled"}
    lab.cluster.put(parts.kustomization("apps", "apps"))
    lab.cluster.push("feat: two", {"apps": [parts.config_map("app", "gone"), kept]})
    lab.live(5)
    lab.cluster.push("chore: none", {"apps": []})
    lab.live(5)
    assert lab.cluster.get("ConfigMap", "app", "gone") is None
    assert lab.cluster.get("ConfigMap", "app", "kept") is not None
    texts = [text for _, _, _, text in lab.events("Kustomization", "apps")]
    assert "ConfigMap/app/kept skipped\nConfigMap/app/gone deleted" in texts


def test_a_live_change_of_a_field_git_does_not_set_survives(lab: Lab) -> None:
    lab.cluster.put(parts.kustomization("apps", "apps"))
    lab.cluster.push("feat: child", {"apps": [parts.kustomization("child", "child")], "child": []})
    lab.live(5)
    lab.person.change("Kustomization", "flux-system", "child", lambda item: item["spec"].update(suspend=True))
    lab.request("Kustomization", "flux-system", "apps", "again")
    lab.live(5)
    assert lab.kustomization("child")["spec"]["suspend"] is True


def test_a_run_without_changes_leaves_the_applied_object_alone(lab: Lab) -> None:
    lab.cluster.put(parts.kustomization("apps", "apps"))
    lab.cluster.push("feat: a", {"apps": [parts.config_map("app", "a")]})
    lab.live(5)
    before = lab.cluster.get("ConfigMap", "app", "a")
    lab.request("Kustomization", "flux-system", "apps", "again")
    lab.live(5)
    assert lab.cluster.get("ConfigMap", "app", "a") is before


def test_a_request_is_acknowledged_at_the_end_of_its_run(lab: Lab) -> None:
    lab.cluster.put(parts.kustomization("apps", "apps"))
    lab.cluster.push("feat: a", {"apps": [parts.config_map("app", "a")]})
    lab.live(5)
    lab.request("Kustomization", "flux-system", "apps", "token-1")
    lab.live(0.3)
    assert "lastHandledReconcileAt" not in lab.kustomization("apps")["status"]
    lab.live(3)
    assert lab.kustomization("apps")["status"]["lastHandledReconcileAt"] == "token-1"


def test_a_suspended_kustomization_acknowledges_but_does_not_run(lab: Lab) -> None:
    lab.cluster.put(parts.kustomization("apps", "apps", suspend=True))
    lab.cluster.push("feat: a", {"apps": [parts.config_map("app", "a")]})
    lab.request("Kustomization", "flux-system", "apps", "token-1")
    lab.live(5)
    assert lab.kustomization("apps")["status"]["lastHandledReconcileAt"] == "token-1"
    assert lab.cluster.get("ConfigMap", "app", "a") is None


# dependsOn


def chain(lab: Lab) -> None:
    lab.cluster.put(parts.kustomization("base", "base", wait=True))
    lab.cluster.put(parts.kustomization("top", "top", "base", wait=True))
    tree = {
        "base": [parts.deployment("app", "base", "registry.example.com/app:1")],
        "top": [parts.config_map("app", "t")],
    }
    lab.cluster.push("feat: both", tree)
    lab.live(45)


def test_a_dependent_waits_for_the_same_revision_and_polls_every_thirty_seconds(lab: Lab) -> None:
    chain(lab)
    assert lab.ready("top")[0] == "True"
    lab.cluster.push("feat: next", {"top": [parts.config_map("app", "t", a="2")]})
    lab.live(2.5)
    assert lab.ready("top")[1:] == ("DependencyNotReady", "dependency 'flux-system/base' is not ready")
    lab.live(20)
    assert (lab.ready("base")[0], lab.ready("top")[0]) == ("True", "False")
    lab.live(15)
    assert lab.ready("top")[0] == "True"


def test_a_dependency_on_an_older_revision_is_named_so(lab: Lab) -> None:
    chain(lab)
    lab.person.change("Kustomization", "flux-system", "base", lambda item: item["spec"].update(suspend=True))
    lab.live(2)
    lab.person.status("Kustomization", "flux-system", "base", lambda status: status.update(observedGeneration=2))
    lab.cluster.push("feat: next", {"top": []})
    lab.live(40)
    assert lab.ready("top")[1:] == ("DependencyNotReady", "dependency 'flux-system/base' revision is not up to date")


def test_a_missing_dependency_is_named_with_the_api_servers_words(lab: Lab) -> None:
    lab.cluster.put(parts.kustomization("top", "top", "nobody"))
    lab.cluster.push("feat: x", {"top": []})
    lab.live(3)
    text = "dependency 'flux-system/nobody' not found: kustomizations.kustomize.toolkit.fluxcd.io \"nobody\" not found"
    assert lab.ready("top")[2] == text


def test_blocked_dependents_count_one_event_up(lab: Lab) -> None:
    lab.cluster.put(parts.kustomization("top", "top", "nobody"))
    lab.cluster.push("feat: x", {"top": []})
    lab.live(95)
    text = "Dependencies do not meet ready condition, retrying in 30s"
    assert lab.events("Kustomization", "top") == [("Normal", "DependencyNotReady", 4, text)]


# Health


def test_a_failing_health_check_burns_its_whole_timeout_of_at_least_thirty_seconds(lab: Lab) -> None:
    lab.cluster.put(parts.kustomization("apps", "apps", wait=True, timeout="10s"))
    lab.cluster.push("feat: bad", {"apps": [parts.deployment("app", "web", BAD)]})
    lab.live(29)
    assert lab.ready("apps") == ("Unknown", "Progressing", "Reconciliation in progress")
    lab.live(5)
    status, reason, text = lab.ready("apps")
    assert (status, reason) == ("False", "HealthCheckFailed")
    assert text.startswith("health check failed after 30.")
    assert text.endswith("s: timeout waiting for: [Deployment/app/web status: 'InProgress']")
    healthy = condition(lab.kustomization("apps"), "Healthy")
    assert healthy is not None
    assert healthy["message"] == "timeout waiting for: [Deployment/app/web status: 'InProgress']"
    reconciling = condition(lab.kustomization("apps"), "Reconciling")
    assert reconciling is not None
    assert reconciling["reason"] == "ProgressingWithRetry"


def test_a_check_in_flight_holds_up_the_commit_that_mends_it(lab: Lab) -> None:
    lab.cluster.put(parts.kustomization("apps", "apps", wait=True))
    lab.cluster.push("feat: bad", {"apps": [parts.deployment("app", "web", BAD)]})
    lab.live(5)
    good = lab.cluster.push("fix: good", {"apps": [parts.deployment("app", "web", "registry.example.com/app:1")]})
    lab.live(20)
    assert good.sha not in lab.kustomization("apps")["status"]["lastAttemptedRevision"]
    lab.live(25)
    assert good.sha in lab.kustomization("apps")["status"]["lastAppliedRevision"]


def test_a_stalled_child_fails_its_parent_early(helm: Lab) -> None:
    helm.cluster.put(parts.kustomization("apps", "apps", wait=True, timeout="2m"))
    helm.cluster.push("feat: release", {"apps": [helm_release(image=BAD)]})
    helm.live(40)
    status, reason, text = helm.ready("apps")
    assert (status, reason) == ("False", "HealthCheckFailed")
    assert "failed early due to stalled resources: [HelmRelease/app/web status: 'Failed': Helm install failed" in text


# Helm


def test_a_release_is_installed_and_stored(helm: Lab) -> None:
    helm.cluster.put(helm_release())
    helm.live(15)
    row = condition(helm.release(), "Ready")
    assert row is not None
    assert (row["reason"], row["message"]) == (
        "InstallSucceeded",
        "Helm install succeeded for release app/web.v1 with chart web@1.0.0",
    )
    secret = helm.cluster.get("Secret", "app", "sh.helm.release.v1.web.v1")
    assert secret is not None
    labels = {key: secret["metadata"]["labels"][key] for key in ("name", "owner", "status", "version")}
    assert labels == {"name": "web", "owner": "helm", "status": "deployed", "version": "1"}
    assert {entry["manager"] for entry in secret["metadata"]["managedFields"]} == {"helm-controller"}
    assert secret["type"] == "helm.sh/release.v1"


def test_a_new_release_waits_a_moment_for_its_chart(helm: Lab) -> None:
    helm.cluster.put(helm_release())
    helm.live(0.3)
    row = condition(helm.release(), "Ready")
    assert row is not None
    assert (row["reason"], row["message"]) == (
        "SourceNotReady",
        "HelmChart 'flux-system/app-web' is not ready: latest generation of object has not been reconciled",
    )


def test_a_release_of_another_owner_is_adopted_and_upgraded_over(helm: Lab) -> None:
    helm.cluster.controllers.cli.upgrade("app", "web", Chart("web", "1.0.0", web, "1.0"), {})
    helm.live(10)
    helm.cluster.put(helm_release())
    helm.live(15)
    assert helm.storage() == [(1, "superseded"), (2, "deployed")]
    assert [one["version"] for one in helm.release()["status"]["history"]] == [2]


def test_an_upgrade_that_times_out_fails_and_stalls(helm: Lab) -> None:
    adopt_and_break(helm)
    status = helm.release()["status"]
    assert [row["type"] for row in status["conditions"]] == ["Stalled", "Ready", "Released"]
    place = "Helm upgrade failed for release app/web with chart web@1.0.0: "
    assert status["conditions"][0]["message"] == "Failed to upgrade after 1 attempt(s)"
    assert (
        status["conditions"][1]["message"] == place + "timeout waiting for: [Deployment/app/web status: 'InProgress']"
    )
    assert (status["failures"], status["upgradeFailures"], status["observedGeneration"]) == (1, 1, 1)
    assert helm.storage() == [(1, "deployed"), (2, "failed")]
    warnings = [text for kind, reason, _, text in helm.events("HelmRelease", "web") if reason == "UpgradeFailed"]
    assert len(warnings) == 1
    assert "\n\nLast Helm logs:\n\n" in warnings[0]


def test_retries_without_anything_to_roll_back_to_are_a_missing_target(helm: Lab) -> None:
    helm.cluster.controllers.cli.upgrade("app", "web", Chart("web", "1.0.0", web, "1.0"), {})
    helm.live(10)
    release = helm_release(image=BAD)
    release["spec"]["upgrade"] = {"remediation": {"retries": 3}}
    helm.cluster.put(release)
    helm.live(30)
    stalled = condition(helm.release(), "Stalled")
    assert stalled is not None
    assert stalled["reason"] == "MissingRollbackTarget"


def test_a_stalled_release_is_not_tried_again_on_request(helm: Lab) -> None:
    adopt_and_break(helm)
    helm.request("HelmRelease", "app", "web", "again")
    helm.live(30)
    assert helm.release()["status"]["lastHandledReconcileAt"] == "again"
    assert helm.storage() == [(1, "deployed"), (2, "failed")]


def test_a_suspension_is_observed_and_keeps_the_conditions(helm: Lab) -> None:
    adopt_and_break(helm)
    helm.person.change("HelmRelease", "app", "web", lambda item: item["spec"].update(suspend=True))
    helm.live(1)
    release = helm.release()
    assert release["status"]["observedGeneration"] == release["metadata"]["generation"] == 2
    ready = condition(release, "Ready")
    assert ready is not None
    assert ready["reason"] == "UpgradeFailed"


def test_deleting_a_suspended_release_keeps_everything_else(helm: Lab) -> None:
    adopt_and_break(helm)
    helm.person.change("HelmRelease", "app", "web", lambda item: item["spec"].update(suspend=True))
    helm.live(1)
    helm.person.delete("HelmRelease", "app", "web")
    helm.live(5)
    assert helm.cluster.get("HelmRelease", "app", "web") is None
    assert helm.cluster.get("Deployment", "app", "web") is not None
    assert helm.cluster.get("HelmChart", "flux-system", "app-web") is not None
    assert helm.storage() == [(1, "deployed"), (2, "failed")]
    assert "UninstallSucceeded" not in [reason for _, reason, _, _ in helm.events("HelmRelease", "web")]


def test_deleting_a_live_release_destroys_what_it_never_made(helm: Lab) -> None:
    adopt_and_break(helm)
    helm.person.delete("HelmRelease", "app", "web")
    helm.live(5)
    assert helm.cluster.get("Deployment", "app", "web") is None
    assert helm.person.all("Pod", "app") == []
    assert helm.storage() == []
    assert helm.cluster.get("HelmChart", "flux-system", "app-web") is None
    told = [(reason, text) for _, reason, _, text in helm.events("HelmRelease", "web")]
    assert ("UninstallSucceeded", "Helm uninstall succeeded for release app/web.v2 with chart web@1.0.0") in told


def test_a_chart_version_that_does_not_exist_stalls_the_chart(helm: Lab) -> None:
    release = helm_release()
    release["spec"]["chart"]["spec"]["version"] = "9.9.9"
    helm.cluster.put(release)
    helm.live(5)
    chart = helm.cluster.get("HelmChart", "flux-system", "app-web")
    assert chart is not None
    assert kstatus(chart) == "Failed"
    helm.request("HelmRelease", "app", "web", "look")
    helm.live(2)
    ready = condition(helm.release(), "Ready")
    assert ready is not None
    assert ready["reason"] == "SourceNotReady"
    assert "no 'web' chart with version matching '9.9.9' found" in ready["message"]


def test_a_stopped_controller_leaves_its_objects_as_they_are(helm: Lab) -> None:
    helm.cluster.put(helm_release())
    helm.live(15)
    helm.cluster.controllers.queue.stopped.add("HelmRelease")
    helm.person.change("HelmRelease", "app", "web", lambda item: item["spec"].update(values={"image": BAD}))
    helm.live(60)
    release = helm.release()
    assert (release["status"]["observedGeneration"], release["metadata"]["generation"]) == (1, 2)
    helm.cluster.controllers.queue.stopped.clear()
    helm.live(30)
    assert helm.storage()[-1] == (2, "failed")


# Sources


def test_a_failing_fetch_backs_off_and_keeps_the_old_artifact(lab: Lab) -> None:
    lab.cluster.put(parts.kustomization("apps", "apps"))
    lab.cluster.push("feat: a", {"apps": [parts.config_map("app", "a")]})
    lab.live(5)
    repository = lab.cluster.outside.repositories["flux-system/flux-system"]
    repository.failure = "authentication required: Unauthorized"
    lab.request("GitRepository", "flux-system", "flux-system", "again")
    lab.live(12)
    source = lab.cluster.get("GitRepository", "flux-system", "flux-system")
    assert source is not None
    ready = condition(source, "Ready")
    assert ready is not None
    assert (ready["status"], ready["reason"]) == ("False", "GitOperationFailed")
    assert "authentication required" in ready["message"]
    tries = next(count for kind, _, count, _ in lab.events("GitRepository", "flux-system") if kind == "Warning")
    assert tries == 5  # at 0, 0.75, 2.25, 5.25 and 11.25 seconds
    assert lab.ready("apps")[0] == "True"


def test_a_push_that_is_not_announced_waits_for_the_interval(lab: Lab) -> None:
    lab.cluster.push("feat: a", {"apps": []})
    lab.live(5)
    commit = lab.cluster.push("feat: b", {"apps": []}, announce=False)
    lab.live(30)
    source = lab.cluster.get("GitRepository", "flux-system", "flux-system")
    assert source is not None
    assert commit.sha not in source["status"]["artifact"]["revision"]
    lab.live(35)
    source = lab.cluster.get("GitRepository", "flux-system", "flux-system")
    assert source is not None
    assert commit.sha in source["status"]["artifact"]["revision"]


# Workloads


def test_a_broken_template_takes_a_daemon_set_down_and_a_good_one_brings_it_back(lab: Lab) -> None:
    labels = {"app": "agent"}

    def agent(image: str) -> Json:
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "agent", "image": image}]}}
        return {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": {"name": "agent", "namespace": "app"},
            "spec": {"selector": {"matchLabels": labels}, "template": template},
        }

    def counts() -> tuple[int, int, str]:
        found = lab.cluster.get("DaemonSet", "app", "agent")
        assert found is not None
        return found["status"]["numberReady"], found["status"]["desiredNumberScheduled"], kstatus(found)

    seen = []
    for image in ("registry.example.com/app:1", BAD, "registry.example.com/app:2"):
        lab.cluster.put(agent(image))
        lab.live(10)
        seen.append(counts())
    assert seen == [(3, 3, "Current"), (0, 3, "InProgress"), (3, 3, "Current")]


def test_a_crashing_pod_says_why_and_counts_restarts(lab: Lab) -> None:
    lab.cluster.put(parts.deployment("app", "web", BAD))
    lab.live(25)
    pod = lab.person.all("Pod", "app")[0]
    state = pod["status"]["containerStatuses"][0]
    assert state["state"]["waiting"] == {"reason": "CrashLoopBackOff", "message": "exit status 1"}
    assert state["lastState"]["terminated"]["exitCode"] == 1
    assert state["restartCount"] >= 2


def test_a_bad_rollout_keeps_the_old_pods_and_a_good_one_replaces_all(lab: Lab) -> None:
    for tag in ("registry.example.com/app:1", BAD):
        lab.cluster.put(parts.deployment("app", "web", tag, replicas=2))
        lab.live(15)
    found = lab.cluster.get("Deployment", "app", "web")
    assert found is not None
    counts = ("replicas", "updatedReplicas", "readyReplicas", "unavailableReplicas")
    assert [found["status"][key] for key in counts] == [3, 1, 2, 1]
    lab.cluster.put(parts.deployment("app", "web", "registry.example.com/app:2", replicas=2))
    lab.live(20)
    found = lab.cluster.get("Deployment", "app", "web")
    assert kstatus(found) == "Current"
    assert {pod["spec"]["containers"][0]["image"] for pod in lab.person.all("Pod", "app")} == {
        "registry.example.com/app:2"
    }


def test_a_job_completes_and_tells_who_asked(lab: Lab) -> None:
    done: list[str] = []
    lab.cluster.controllers.on_job.append(lambda job: done.append(job["metadata"]["name"]))
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "sync", "namespace": "app"}, "spec": {}}
    lab.cluster.put(job)
    lab.live(5)
    assert done == ["sync"]
    assert kstatus(lab.cluster.get("Job", "app", "sync")) == "Current"


def test_a_definition_brings_a_kind_and_takes_it_away(lab: Lab) -> None:
    lab.cluster.remove("CustomResourceDefinition", "", "buckets.source.toolkit.fluxcd.io")
    with pytest.raises(KeyError):
        lab.person.store.resources.of("source.toolkit.fluxcd.io", "Bucket")
    names = {"kind": "Widget", "plural": "widgets"}
    spec = {"group": "example.com", "names": names, "scope": "Cluster", "versions": [{"name": "v1"}]}
    meta = {"name": "widgets.example.com"}
    lab.cluster.put(
        {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": meta, "spec": spec}
    )
    lab.cluster.put({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "one"}})
    assert lab.cluster.get("Widget", "", "one") is not None


def test_removing_what_is_not_there_is_404(lab: Lab) -> None:
    with pytest.raises(ApiError, match="not found"):
        lab.cluster.remove("ConfigMap", "app", "none")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.02609, "26.09ms"), (30.0134, "30.0134s"), (120.5, "2m0.5s"), (600, "10m0s"), (3600, "1h0m0s"), (0, "0s")],
)
def test_durations_print_as_in_go(value: float, text: str) -> None:
    assert duration(value) == text


@pytest.mark.parametrize(("text", "value"), [("1h30m", 5400), ("45s", 45), ("500ms", 0.5), (None, 7), ("", 7)])
def test_durations_are_read_as_go_writes_them(text: str | None, value: float) -> None:
    assert seconds(text, 7) == value


def test_a_deleted_kustomization_takes_what_it_applied_with_it(lab: Lab) -> None:
    lab.cluster.put(parts.kustomization("apps", "apps"))
    lab.cluster.push("feat: a", {"apps": [parts.config_map("app", "a")]})
    lab.live(5)
    lab.person.delete("Kustomization", "flux-system", "apps")
    lab.live(2)
    assert lab.cluster.get("Kustomization", "flux-system", "apps") is None
    assert lab.cluster.get("ConfigMap", "app", "a") is None


@pytest.mark.parametrize("spec", [{"suspend": True}, {"prune": False}, {"deletionPolicy": "Orphan"}])
def test_a_deleted_kustomization_can_leave_everything(lab: Lab, spec: Json) -> None:
    lab.cluster.put(parts.kustomization("apps", "apps"))
    lab.cluster.push("feat: a", {"apps": [parts.config_map("app", "a")]})
    lab.live(5)
    lab.person.change("Kustomization", "flux-system", "apps", lambda item: item["spec"].update(spec))
    lab.live(3)
    lab.person.delete("Kustomization", "flux-system", "apps")
    lab.live(2)
    assert lab.cluster.get("Kustomization", "flux-system", "apps") is None
    assert lab.cluster.get("ConfigMap", "app", "a") is not None


def test_a_source_without_artifact_is_waited_for(lab: Lab) -> None:
    lab.cluster.put(parts.kustomization("apps", "apps"))
    lab.live(2)
    assert lab.ready("apps") == ("False", "ArtifactFailed", "Source artifact not found, retrying in 30s")


def test_a_release_waits_for_its_dependency_and_names_it(helm: Lab) -> None:
    release = helm_release()
    release["spec"]["dependsOn"] = [{"name": "nobody"}]
    helm.cluster.put(release)
    helm.live(5)
    ready = condition(helm.release(), "Ready")
    assert ready is not None
    assert ready["reason"] == "DependencyNotReady"
    assert ready["message"].startswith("unable to get 'app/nobody' dependency: ")


def test_a_release_in_sync_acknowledges_a_request_without_an_action(helm: Lab) -> None:
    helm.cluster.put(helm_release())
    helm.live(15)
    helm.request("HelmRelease", "app", "web", "again")
    helm.live(3)
    assert helm.release()["status"]["lastHandledReconcileAt"] == "again"
    assert helm.storage() == [(1, "deployed")]


def test_new_values_upgrade_a_failed_release(helm: Lab) -> None:
    adopt_and_break(helm)
    helm.person.change("HelmRelease", "app", "web", lambda item: item["spec"].update(values={"image": "app:good"}))
    helm.live(20)
    assert helm.storage() == [(1, "superseded"), (2, "failed"), (3, "deployed")]
    assert "failures" not in helm.release()["status"]


def test_resuming_a_failed_release_tries_again(helm: Lab) -> None:
    adopt_and_break(helm)
    for spec in ({"suspend": True}, {"suspend": False}):
        helm.person.change("HelmRelease", "app", "web", partial(merge_spec, spec))
        helm.live(2)
    assert helm.storage()[-1] == (3, "pending-upgrade")


def test_a_second_helm_upgrade_from_outside_is_upgraded_over(helm: Lab) -> None:
    helm.cluster.put(helm_release())
    helm.live(15)
    helm.cluster.controllers.cli.upgrade("app", "web", Chart("web", "1.0.0", web, "1.0"), {})
    helm.request("HelmRelease", "app", "web", "look")
    helm.live(15)
    assert [version for version, _ in helm.storage()] == [1, 2, 3]
    assert helm.release()["status"]["history"][0]["version"] == 3


def test_a_target_namespace_and_release_name_decide_what_is_stored(helm: Lab) -> None:
    release = helm_release()
    release["spec"]["targetNamespace"] = "app"
    helm.cluster.put(release)
    helm.live(15)
    assert helm.cluster.get("Secret", "app", "sh.helm.release.v1.app-web.v1") is not None


def test_a_suspended_or_deleted_source_is_left_alone(lab: Lab) -> None:
    lab.cluster.push("feat: a", {"apps": []})
    lab.live(3)
    lab.person.change("GitRepository", "flux-system", "flux-system", lambda item: item["spec"].update(suspend=True))
    lab.live(1)
    commit = lab.cluster.push("feat: b", {"apps": []})
    lab.live(3)
    source = lab.cluster.get("GitRepository", "flux-system", "flux-system")
    assert source is not None
    assert commit.sha not in source["status"]["artifact"]["revision"]
    lab.person.delete("GitRepository", "flux-system", "flux-system")
    lab.live(1)
    assert lab.cluster.get("GitRepository", "flux-system", "flux-system") is None


def test_a_refused_write_is_tried_again(lab: Lab) -> None:
    lab.cluster.put(parts.kustomization("apps", "apps"))
    lab.cluster.push("feat: a", {"apps": [parts.config_map("app", "a")]})
    lab.live(1)
    lab.person.delete("Kustomization", "flux-system", "apps")
    lab.live(0.3)
    lab.cluster.put(parts.kustomization("apps", "apps"))
    lab.live(10)
    assert lab.ready("apps")[0] == "True"


def test_fewer_replicas_remove_pods(lab: Lab) -> None:
    for count in (3, 1):
        lab.cluster.put(parts.deployment("app", "web", "registry.example.com/app:1", replicas=count))
        lab.live(20)
    assert len(lab.person.all("Pod", "app")) == 1


def test_a_removed_folder_is_a_missing_path(lab: Lab) -> None:
    lab.cluster.put(parts.kustomization("apps", "apps"))
    lab.cluster.push("feat: a", {"apps": []})
    lab.live(3)
    lab.cluster.push("chore: gone", {"apps": None})
    lab.live(3)
    assert lab.ready("apps")[1] == "ArtifactFailed"
