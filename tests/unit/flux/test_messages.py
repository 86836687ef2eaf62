"""The line that matters in a message, and what a message names."""

import pytest

from daemon.flux.culprit import (
    LINE,
    Blamed,
    blamed,
    changed_lines,
    culprit_of,
    dependency_of,
    fingerprint,
    is_refused,
    overloaded_server,
    shared_fault,
    without_empty_talk,
)
from daemon.flux.reasons import ReasonClass, classify

HEALTH = (
    "health check failed after 30.1s: timeout waiting for: [Deployment/apps/web status: 'InProgress', "
    "Pod/apps/p status: 'Failed': container crashed, can't determine status for Thing/odd]"
)
STALLED = (
    "health check failed after 12.91616ms: failed early due to stalled resources: "
    "[HelmRelease/quality/rules status: 'Failed']"
)
SCHEMA = "Helm upgrade failed for release pricing/api with chart api@3.0.0: values don't meet the schema(s):"
SOPS = (
    "decryption failed for 'Secret.v1.[noGrp]/ledger-api-token': failed to decrypt and format "
    "'vaultsync/ledger-api-token' Secret data: cannot get sops data key."
)


def test_a_failed_health_check_names_what_it_waited_for():
    assert blamed(HEALTH) == (
        Blamed("Deployment", "apps", "web", "InProgress"),
        Blamed("Pod", "apps", "p", "Failed", "container crashed, can't determine status for Thing/odd"),
        Blamed("Thing", "", "odd", "Unknown"),
    )


def test_the_order_in_which_flux_lists_them_does_not_matter():
    one, two = "A/n/a status: 'Failed'", "B/n/b status: 'Failed'"
    assert blamed(f"[{one}, {two}]") == blamed(f"[{two}, {one}]")


def test_a_message_without_a_list_blames_nobody():
    assert blamed("kustomize build failed") == ()


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            "health check failed after 1s: timeout waiting for: [Deployment/apps/web status: 'InProgress']",
            "health check failed: Deployment/apps/web InProgress",
        ),
        (
            "Helm upgrade failed for release a/b with chart b@1: timeout waiting for: [Job/a/web status: 'Failed']",
            "Helm upgrade failed: Job/a/web Failed",
        ),
        (
            "Helm install failed for release a/db with chart d@1: values don't meet it\n\nLast Helm logs:\nnoise",
            "Helm install failed: values don't meet it",
        ),
        (
            "HelmChart 'apps/apps-db' is not ready: chart pull error: no such host",
            "HelmChart apps/apps-db is not ready: chart pull error: no such host",
        ),
        ("context deadline exceeded\nfailed to download: no route", "failed to download: no route"),
        ("context deadline exceeded", "context deadline exceeded"),
        ("build failed in /tmp/kustomization-123/x: no file", "build failed in …/x: no file"),
        (
            f"{SCHEMA}\napi:\n- at '/replicas': maximum: got 200, want 20\n",
            "Helm upgrade failed: values don't meet the schema(s): api: - at '/replicas': maximum: got 200, want 20",
        ),
        (STALLED, "health check failed: HelmRelease/quality/rules Failed"),
        (
            "Deployment/a/b dry-run failed: .spec.replicas: got string\n",
            "Deployment/a/b dry-run failed: .spec.replicas: got string",
        ),
        (f"{SOPS}\n\nGroup 0: FAILED\n  age1lzd: FAILED\n", SOPS),
        (
            "HelmChart 'a/b' is not ready: HelmChart 'a/b' is not ready: x",
            "HelmChart a/b is not ready: HelmChart 'a/b' is not ready: x",
        ),
        ("", ""),
    ],
)
def test_the_culprit_is_the_line_a_person_needs(message, expected):
    assert culprit_of(message) == expected


def test_a_source_quoted_a_thousand_times_is_read_once():
    assert culprit_of("HelmChart 'a' is not ready: " * 2000).startswith("HelmChart a is not ready: HelmChart 'a'")


def test_a_hostile_message_of_a_megabyte_is_read_in_linear_time():
    word = "a" * 1_000_000
    assert blamed(f"status: '{word} Pod/apps/p status: 'Failed'") == (Blamed("Pod", "apps", "p", "Failed"),)
    assert len(culprit_of(f"{word} status: 'x")) == LINE
    assert fingerprint("1" * 100_000 + "x").endswith("x")


def test_a_long_line_is_cut():
    assert len(culprit_of("x" * 1000)) == LINE


def test_two_tries_of_one_failure_have_one_fingerprint():
    first = "failed after 30.5s at 2026-03-01T03:00:00Z in /tmp/a1: pod web-5d4f8c7b9-x2x4z 0xdeadbeef sh.v1.db.v3"
    second = "failed after 31.9s at 2026-03-01T03:05:00Z in /tmp/b2: pod web-6d4f8c7b9-y2y4y 0xdeadbeff sh.v1.db.v4"
    assert fingerprint(first) == fingerprint(second)
    assert fingerprint(HEALTH) == fingerprint(HEALTH.replace("30.1s", "45s"))
    assert fingerprint("build failed") != fingerprint("apply failed")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("dependency 'apps/a' is not ready", ("apps/a", "is not ready")),
        ("unable to get 'apps/a' dependency: not found", ("apps/a", "not found")),
        ("something else", None),
    ],
)
def test_a_wait_names_its_dependency(message, expected):
    assert dependency_of(message) == expected


def test_what_an_apply_changed_is_listed():
    assert changed_lines("Deployment/apps/web configured\nNamespace/apps created\nnoise") == (
        ("Deployment", "apps", "web", "configured"),
        ("Namespace", "", "apps", "created"),
    )


@pytest.mark.parametrize(
    ("kind", "status", "reason", "message", "expected"),
    [
        ("Kustomization", "True", "ReconciliationSucceeded", "", ReasonClass.OK),
        ("Kustomization", "Unknown", "Progressing", "", ReasonClass.PROGRESSING),
        ("Kustomization", "False", "NeverHeardOf", "", ReasonClass.FAILED),
        ("Kustomization", "False", "DependencyNotReady", "", ReasonClass.BLOCKED),
        ("Kustomization", "False", "ArtifactFailed", "Source artifact not found, retrying in 30s", ReasonClass.SYMPTOM),
        ("Kustomization", "False", "ArtifactFailed", "failed to download archive: 404", ReasonClass.FAILED),
        ("HelmChart", "False", "ArtifactFailed", "whatever", ReasonClass.SYMPTOM),
        ("HelmChart", "False", "InvalidChartReference", "invalid chart reference: no chart", ReasonClass.CONFIG),
        ("HelmRelease", "False", "SourceNotReady", "HelmChart 'a/b' is not ready: x", ReasonClass.SYMPTOM),
        ("HelmRelease", "False", "PendingRelease", "", ReasonClass.PROGRESSING),
        ("HelmRelease", "False", "RollbackSucceeded", "Helm rollback succeeded", ReasonClass.FAILED),
        ("Kustomization", "False", "HealthCheckCanceled", "", ReasonClass.TRANSIENT),
        (
            "Kustomization",
            "False",
            "ArtifactFailed",
            'GitRepository.source.toolkit.fluxcd.io "x" not found',
            ReasonClass.SYMPTOM,
        ),
    ],
)
def test_a_reason_means_failure_waiting_or_work(kind, status, reason, message, expected):
    assert classify(kind, status, reason, message) is expected


@pytest.mark.parametrize(
    ("message", "server"),
    [
        ('unexpected requesting "https://git.corp.io/r1.git/info/refs?service=x" status code: 503', "git.corp.io"),
        ("failed to fetch https://charts.corp.io/a/index.yaml : 503 Service Unavailable", "charts.corp.io"),
        ("GET https://reg.corp.io/v2/x/manifests/1: unexpected status code 502 Bad Gateway", "reg.corp.io"),
        ("failed to fetch https://me:x@box.corp.io:8443/a/index.yaml : 500 Internal Server Error", "box.corp.io:8443"),
        ("failed to fetch https://charts.corp.io/a/index.yaml : 404 Not Found", ""),
        ("denied: quota, see https://docs.corp.io/quota for more: 500 exceeds 100", ""),
        ("GET https://reg.corp.io/v2/x: UNAUTHORIZED: authentication required", ""),
    ],
)
def test_a_server_that_answers_with_an_error_of_its_own_is_known_by_its_address(message, server):
    assert overloaded_server(message) == server


@pytest.mark.parametrize(
    ("message", "shared"),
    [
        ("ConfigMap/app/cfg dry-run failed: etcdserver: request timed out", "the API server's etcdserver"),
        ("ConfigMap/app/cfg dry-run failed: etcdserver: mvcc: database space exceeded", "the API server's etcdserver"),
        ("ConfigMap/app/cfg dry-run failed: etcdserver: request is too large", ""),
    ],
)
def test_only_what_etcd_says_of_itself_fails_others_too(message, shared):
    assert shared_fault(message) == shared


@pytest.mark.parametrize(
    ("message", "refused"),
    [
        ("unable to clone 'https://git/x': authentication required: HTTP Basic: Access denied", True),
        ("cannot get sops data key: Failed to get the data key required to decrypt the SOPS file.", True),
        ("GET https://reg.corp.io/v2/x: UNAUTHORIZED", True),
        ("couldn't find remote ref refs/heads/main", False),
        ("unable to clone: authentication required: Repository not found.", False),
        ("cannot get sops data key: MAC mismatch, expected mac 'a', got 'b'", False),
    ],
)
def test_a_key_that_does_not_open_is_known_by_its_words(message, refused):
    assert is_refused(message) is refused


@pytest.mark.parametrize(
    ("line", "short"),
    [
        ("Helm upgrade failed: context deadline exceeded", "Helm upgrade failed: time ran out"),
        ("Helm install failed: rate: Wait(n=1) would exceed context deadline", "Helm install failed: time ran out"),
        ("context deadline exceeded", "time ran out"),
        ("context deadline exceeded while pulling a chart", "context deadline exceeded while pulling a chart"),
        ("no such file", "no such file"),
    ],
)
def test_an_end_that_only_says_that_time_ran_out_can_be_left_out(line, short):
    assert without_empty_talk(line) == short
