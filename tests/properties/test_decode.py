"""Whatever stands in a field of an object, an Event or a post: it is decoded, always to the same, and can be kept.

The objects are Flux's own, cut short; any of their fields is replaced by any JSON.
"""

import copy
import typing
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.flux.culprit import LINE, blamed, changed_lines, culprit_of, dependency_of, fingerprint
from daemon.flux.decode import decode_webhook, gone_of, parse, signal_of
from daemon.flux.kinds import KINDS
from daemon.flux.reasons import ReasonClass, classify
from daemon.model.codec import decode, encode
from daemon.model.objects import ObjectState
from daemon.model.redact import redact
from daemon.model.signals import EventSeen, ObjectChanged, ObjectGone, ReleaseSeen

AT = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
KUSTOMIZATION = {
    "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
    "kind": "Kustomization",
    "metadata": {
        "name": "vaultsync",
        "namespace": "vaultsync",
        "uid": "2e1ef3d7-4711-4c08-a8a5-48181cb7b585",
        "resourceVersion": "8469",
        "generation": 1,
        "creationTimestamp": "2026-11-23T17:28:03Z",
        "finalizers": ["finalizers.fluxcd.io"],
        "labels": {"kustomize.toolkit.fluxcd.io/name": "apps"},
        "annotations": {"reconcile.fluxcd.io/requestedAt": "2026-11-23T17:30:00Z"},
        "ownerReferences": [{"apiVersion": "v1", "kind": "Owner", "name": "o", "uid": "u"}],
        "managedFields": [{"manager": "kustomize-controller", "operation": "Apply", "time": "2026-11-23T17:28:03Z"}],
    },
    "spec": {
        "dependsOn": [{"name": "vaultsync-secrets"}, {"name": "vaultsync-db", "namespace": "x", "readyExpr": "true"}],
        "interval": "5m",
        "retryInterval": "30s",
        "timeout": "45s",
        "path": "./apps/vaultsync",
        "prune": True,
        "wait": True,
        "suspend": False,
        "sourceRef": {"kind": "GitRepository", "name": "vaultsync"},
        "healthChecks": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "namespace": "x"}],
        "postBuild": {"substituteFrom": [{"kind": "ConfigMap", "name": "vars", "optional": True}]},
        "decryption": {"provider": "sops", "secretRef": {"name": "sops-age"}},
        "kubeConfig": {"secretRef": {"name": "remote"}},
        "serviceAccountName": "deployer",
    },
    "status": {
        "conditions": [
            {
                "lastTransitionTime": "2026-11-23T17:33:34Z",
                "message": "decryption failed for 'Secret.v1.[noGrp]/ledger-api-token': cannot get sops data key",
                "observedGeneration": 1,
                "reason": "BuildFailed",
                "status": "False",
                "type": "Ready",
            }
        ],
        "inventory": {"entries": [{"id": "vaultsync_vaultsync_apps_Deployment", "v": "v1"}]},
        "lastAppliedRevision": "main@sha1:d727d28ff371d3d902adb386ab8653a9ab8a5050",
        "lastAttemptedRevision": "main@sha1:d727d28ff371d3d902adb386ab8653a9ab8a5050",
        "lastHandledReconcileAt": "2026-11-23T17:30:00Z",
        "observedGeneration": 1,
    },
}
RELEASE = {
    "apiVersion": "helm.toolkit.fluxcd.io/v2",
    "kind": "HelmRelease",
    "metadata": {"name": "fraud-engine", "namespace": "fraud", "generation": 2},
    "spec": {
        "chart": {"spec": {"chart": "f", "version": "1.0.0", "sourceRef": {"kind": "HelmRepository", "name": "r"}}},
        "chartRef": {"kind": "OCIRepository", "name": "r"},
        "dependsOn": [{"name": "db"}],
        "releaseName": "fraud",
        "targetNamespace": "fraud",
        "storageNamespace": "fraud",
        "values": {"password": "hunter22"},
        "valuesFrom": [{"kind": "Secret", "name": "values"}],
    },
    "status": {
        "conditions": [{"type": "Ready", "status": "False", "reason": "UpgradeFailed", "message": "no"}],
        "history": [
            {"version": 2, "status": "failed", "chartName": "fraud-engine", "chartVersion": "1.0.0",
             "firstDeployed": "2026-11-23T17:28:03Z", "lastDeployed": "2026-11-23T17:28:03Z"},
        ],
        "storageNamespace": "fraud",
        "inventory": {"entries": [{"id": "fraud_fraud__Service", "v": "v1"}]},
    },
}  # fmt: skip
CHART = {
    "apiVersion": "source.toolkit.fluxcd.io/v1",
    "kind": "HelmChart",
    "metadata": {"name": "fraud-fraud-engine", "namespace": "fraud", "generation": 1},
    "spec": {"chart": "fraud-engine", "sourceRef": {"kind": "HelmRepository", "name": "r"}, "secretRef": {"name": "s"}},
    "status": {"artifact": {"revision": "1.0.0", "digest": "sha256:0"}, "observedGeneration": -1},
}
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "fraud-engine", "namespace": "fraud", "generation": 3},
    "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "fraud"}}},
    "status": {
        "observedGeneration": 3,
        "replicas": 2,
        "readyReplicas": 1,
        "updatedReplicas": 2,
        "availableReplicas": 1,
    },
}
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "fraud-engine-5d4f8c7b9-x2x4z", "namespace": "fraud"},
    "spec": {"nodeName": "node-1"},
    "status": {
        "phase": "Running",
        "conditions": [{"type": "PodScheduled", "status": "True"}],
        "initContainerStatuses": [{"name": "init", "state": {"terminated": {"exitCode": 0}}}],
        "containerStatuses": [
            {
                "name": "main",
                "ready": False,
                "restartCount": 4,
                "state": {"running": {"startedAt": "now"}},
            },
            {
                "name": "side",
                "ready": False,
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
            },
        ],
    },
}
EVENT = {
    "kind": "Event",
    "apiVersion": "v1",
    "metadata": {
        "name": "ledger.18eabd58f8968598",
        "namespace": "ledger",
        "uid": "8e314862-7288-4b79-9db9-0314dff08304",
        "annotations": {"source.toolkit.fluxcd.io/revision": "main@sha1:84a8"},
    },
    "involvedObject": {
        "kind": "GitRepository",
        "namespace": "ledger",
        "name": "ledger",
        "apiVersion": "source.toolkit.fluxcd.io/v1",
    },
    "reason": "GitOperationSucceeded",
    "message": "no changes since last reconciliation: observed revision 'main@sha1:84a8'",
    "source": {"component": "source-controller"},
    "firstTimestamp": "2026-11-23T17:39:51Z",
    "lastTimestamp": "2026-11-23T17:40:50Z",
    "series": {"count": 2, "lastObservedTime": "2026-11-23T17:40:50.123456Z"},
    "count": 3,
    "type": "Normal",
    "eventTime": None,
    "reportingComponent": "source-controller",
}
SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {
        "name": "sh.helm.release.v1.fraud-engine.v2",
        "namespace": "fraud",
        "creationTimestamp": "2026-11-23T17:40:50Z",
        "labels": {"name": "fraud-engine", "owner": "helm", "status": "deployed", "version": "2"},
        "managedFields": [{"manager": "helm-controller", "operation": "Update", "time": "2026-11-23T17:40:50Z"}],
    },
    "data": {"release": "aHVudGVyMjI="},
}
POST = {
    "involvedObject": EVENT["involvedObject"],
    "severity": "error",
    "timestamp": "2026-11-23T17:40:50Z",
    "message": "health check failed after 45s: timeout waiting for: [Deployment/apps/web status: 'InProgress']",
    "reason": "HealthCheckFailed",
    "metadata": {"kustomize.toolkit.fluxcd.io/revision": "main@sha1:84a8"},
    "reportingController": "kustomize-controller",
}
OBJECTS = (KUSTOMIZATION, RELEASE, CHART, DEPLOYMENT, POD, EVENT, SECRET)
Place = tuple[str | int, ...]


def places(value: object, here: Place = ()) -> list[Place]:
    """Return the way to every field of a JSON value."""
    items: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    return [place for key, item in items for place in ((*here, key), *places(item, (*here, key)))]


def replaced(whole: object, changes: list[tuple[Place, object]]) -> dict[str, typing.Any]:
    """Return a copy with other values at some places; a place that an earlier change took away is left out."""
    found = copy.deepcopy(whole)
    for place, value in changes:
        inner: typing.Any = found
        try:
            for key in place[:-1]:
                inner = inner[key]
            inner[place[-1]] = value
        except (TypeError, KeyError, IndexError):
            continue
    return typing.cast("dict[str, typing.Any]", found)


TEXTS = st.sampled_from(
    [
        "", "Ready", "True", "False", "-1", "9" * 40, "9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00Z", "99999999h",
        "2026-11-23T17:40:50Z", "a_b_c_d_e_f", "__", "/", "²", "sh.helm.release.v1.x.v٣", "Secret", "Event", "Pod",
        'password=hunter22\\"x', "-----BEGIN RSA PRIVATE KEY-----\nMI", "status: '", "é\x00\u2028",
        "kind: Secret\ndata:\n a: b",
    ]
)  # fmt: skip
KEYS = sorted({str(key) for each in OBJECTS for place in places(each) for key in place if isinstance(key, str)})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | TEXTS | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner),
    max_leaves=10,
)


def odd(whole: object) -> st.SearchStrategy[dict[str, typing.Any]]:
    """Return an object with some of its fields replaced, as it is read from the wire."""
    changes = st.lists(st.tuples(st.sampled_from(places(whole)), JSON), min_size=1, max_size=4)
    return changes.map(lambda some: orjson.loads(orjson.dumps(replaced(whole, some), option=orjson.OPT_NON_STR_KEYS)))


@pytest.mark.parametrize("whole", OBJECTS, ids=lambda whole: whole["kind"])
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_json_in_any_field_is_decoded_to_the_same_every_time(whole, data):
    raw = data.draw(odd(whole))
    try:
        first = signal_of(raw, "c", AT)
        gone = gone_of(raw, "c", AT)
    except ValueError as error:
        assert "needs kind and metadata.name" in str(error)  # noqa: PT017 - nothing else may be refused
        metadata = raw["metadata"]
        named = isinstance(metadata, dict) and isinstance(metadata.get("name"), str) and metadata["name"]
        assert not named or not isinstance(raw["kind"], str) or not raw["kind"]
        return
    assert repr(first) == repr(signal_of(copy.deepcopy(raw), "c", AT))
    assert first is None or isinstance(first, ObjectChanged | EventSeen | ReleaseSeen)
    assert gone is None or isinstance(gone, ObjectGone | ReleaseSeen)
    if isinstance(first, ObjectChanged):
        kept = parse(first.new.text)
        assert kept["kind"] == redact(first.new.ref.kind)
        assert decode(ObjectState, orjson.loads(orjson.dumps(encode(first.new)))) == first.new


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from([(kind.kind, f"{kind.group}/{kind.versions[0]}".lstrip("/")) for kind in KINDS]), JSON, JSON, JSON
)
def test_any_spec_and_status_of_any_kind_is_decoded(kind, metadata, spec, status):
    name, api = kind
    extra = metadata if isinstance(metadata, dict) else {}
    raw = {"apiVersion": api, "kind": name, "metadata": extra | {"name": "a"}, "spec": spec, "status": status}
    raw = orjson.loads(orjson.dumps(raw))
    assert repr(signal_of(raw, "c", AT)) == repr(signal_of(raw, "c", AT))


@settings(max_examples=200, deadline=None)
@given(odd(POST) | st.dictionaries(st.sampled_from(KEYS), JSON))
def test_a_post_of_any_shape_is_decoded_or_told_what_it_lacks(body):
    try:
        found = decode_webhook(body, "c", AT)
    except ValueError as error:
        assert "missing" in str(error) or "must be strings" in str(error)  # noqa: PT017 - nothing else may be refused
        return
    assert found.origin == "webhook"
    assert found.ref.kind
    assert found.ref.name
    assert decode(EventSeen, orjson.loads(orjson.dumps(encode(found)))) == found


PHRASES = st.sampled_from(
    [
        "health check failed after 45.047067143s: timeout waiting for: [", "Deployment/platform/cert-manager",
        " status: 'InProgress'", " status: 'Failed': ", ", ", "]", "can't determine status for ",
        "dependency 'apps/a' ", "revision is not up to date", "HelmChart 'a/b' is not ready: ", "\n\nLast Helm logs:\n",

        "context deadline exceeded",
        "Helm upgrade failed for release a/b with chart b@1.0.0: ", "Namespace/apps created\n",
        "/tmp/kustomization-1/x",
        ":\n", "2026-11-23T17:40:50Z", "unable to get 'a/b' dependency",
        'GitRepository.source.toolkit.fluxcd.io "x" not found',
        " ",
    ]
)  # fmt: skip
MESSAGES = st.lists(PHRASES | st.text(max_size=8), max_size=10).map("".join)


@given(MESSAGES)
def test_any_message_has_one_short_line_and_one_fingerprint(message):
    line = culprit_of(message)
    assert len(line) <= LINE
    assert line == " ".join(line.split())
    assert fingerprint(message) == fingerprint(message + "\n\nLast Helm logs:\nother noise")
    assert len(set(blamed(message))) == len(blamed(message))
    assert all(each.kind and each.name for each in blamed(message))
    needed = dependency_of(message)
    assert needed is None or needed[0]
    assert all(done in ("created", "configured", "deleted", "skipped") for *_, done in changed_lines(message))


@given(MESSAGES)
def test_what_flux_says_holds_no_secret(message):
    assert redact(message) == message


@given(
    st.sampled_from([kind.kind for kind in KINDS]), st.sampled_from(["True", "False", "Unknown", ""]), TEXTS, MESSAGES
)
def test_every_condition_has_a_class_and_only_true_is_ok(kind, status, reason, message):
    assert (classify(kind, status, reason, message) is ReasonClass.OK) == (status == "True")
