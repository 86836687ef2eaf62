"""Objects as Flux and Kubernetes send them, decoded."""

import json
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.flux import kinds
from daemon.flux.decode import decode_object, gone_of, parse, ref_of, signal_of
from daemon.flux.fields import moment, number, seconds
from daemon.flux.specs import inventory_ref
from daemon.model.objects import Dependency, Writer
from daemon.model.refs import ObjectRef
from daemon.model.signals import ObjectChanged, ObjectGone

AT = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
SOURCE = "source.toolkit.fluxcd.io"


def raw(kind: str = "Kustomization", api: str = "kustomize.toolkit.fluxcd.io/v1", **parts: object) -> dict[str, object]:
    metadata = {"name": "a", "namespace": "apps", "uid": "u1", "resourceVersion": "7", "generation": 2}
    return {"apiVersion": api, "kind": kind, "metadata": metadata | dict(parts.pop("metadata", {})), **parts}  # type: ignore[call-overload]


def helm(**parts: object) -> dict[str, object]:
    return raw("HelmRelease", "helm.toolkit.fluxcd.io/v2", **parts)


def ref(kind: str, name: str, group: str = SOURCE, namespace: str = "apps") -> ObjectRef:
    return ObjectRef("c", group, kind, namespace, name)


def test_a_kustomization_says_what_it_needs_makes_and_waits_for():
    state = decode_object(
        raw(
            spec={
                "path": "./apps",
                "wait": True,
                "prune": True,
                "interval": "1h30m",
                "retryInterval": "2m",
                "timeout": "5m0s",
                "dependsOn": [
                    {"name": "base"},
                    {"name": "db", "namespace": "other", "readyExpr": "dep.status.ready"},
                    {"kind": "HelmRelease", "name": "x"},
                    {"namespace": "nameless"},
                ],
                "sourceRef": {"kind": "GitRepository", "name": "repo", "namespace": "flux-system"},
                "healthChecks": [
                    {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "namespace": "apps"},
                    {"kind": "Deployment", "name": "api", "namespace": "apps"},
                ],
                "postBuild": {
                    "substituteFrom": [
                        {"kind": "ConfigMap", "name": "vars"},
                        {"kind": "Secret", "name": "x", "optional": True},
                    ]
                },
                "decryption": {"secretRef": {"name": "sops"}},
                "kubeConfig": {"secretRef": {"name": "remote"}},
                "serviceAccountName": "deployer",
            },
            status={
                "observedGeneration": 2,
                "lastAppliedRevision": "main@sha1:a",
                "lastAttemptedRevision": "main@sha1:b",
                "inventory": {"entries": [{"id": "apps_web_apps_Deployment", "v": "v1"}, {"id": "_broken", "v": "v1"}]},
            },
        ),
        "c",
    )
    assert state.depends_on == (
        Dependency(ref("Kustomization", "base", "kustomize.toolkit.fluxcd.io")),
        Dependency(ref("Kustomization", "db", "kustomize.toolkit.fluxcd.io", "other"), "dep.status.ready"),
        Dependency(ref("HelmRelease", "x", "helm.toolkit.fluxcd.io")),
    )
    assert state.source == ref("GitRepository", "repo", namespace="flux-system")
    assert state.contains == (ref("Deployment", "web", "apps"),)
    assert state.health_checks == (ref("Deployment", "api", "apps"), ref("Deployment", "web", "apps"))
    assert {need.kind + "/" + need.name for need in state.needs} == {
        "ConfigMap/vars",
        "Secret/sops",
        "Secret/remote",
        "ServiceAccount/deployer",
    }
    assert (state.interval, state.retry_interval, state.timeout) == (5400.0, 120.0, 300.0)
    assert (state.wait, state.prune, state.path) == (True, True, "./apps")
    assert (state.applied_revision, state.attempted_revision) == ("main@sha1:a", "main@sha1:b")


def test_a_helm_release_with_a_chart_template_is_made_from_its_helm_chart():
    spec = {
        "chart": {
            "spec": {
                "chart": "db",
                "version": "1",
                "sourceRef": {"kind": "HelmRepository", "name": "r", "namespace": "flux-system"},
            }
        }
    }
    state = decode_object(helm(spec=spec), "c")
    assert state.source == ref("HelmChart", "apps-a", namespace="flux-system")
    assert state.helm is not None
    assert (state.helm.release, state.helm.namespace, state.helm.storage_namespace) == ("a", "apps", "apps")


def test_a_helm_release_may_name_its_chart_target_storage_and_values():
    state = decode_object(
        helm(
            spec={
                "chartRef": {"kind": "OCIRepository", "name": "chart"},
                "targetNamespace": "prod",
                "storageNamespace": "store",
                "valuesFrom": [
                    {"kind": "Secret", "name": "values"},
                    {"kind": "ConfigMap", "name": "o", "optional": True},
                ],
                "kubeConfig": {"secretRef": {"name": "remote"}},
                "values": {"password": "hunter22"},
            },
            status={
                "history": [
                    {
                        "version": 2,
                        "status": "deployed",
                        "chartName": "db",
                        "chartVersion": "1.2.0",
                        "firstDeployed": "2026-03-01T03:00:00Z",
                    }
                ],
                "lastAttemptedRevision": "1.2.0",
            },
        ),
        "c",
    )
    assert state.source == ref("OCIRepository", "chart")
    assert state.helm is not None
    assert (state.helm.release, state.helm.namespace, state.helm.storage_namespace) == ("prod-a", "prod", "store")
    assert state.applied_revision == "1.2.0"
    assert [need.name for need in state.needs] == ["remote", "values"]
    assert "hunter22" not in state.text


def test_a_release_whose_newest_revision_failed_has_none_applied():
    state = decode_object(helm(spec={}, status={"history": [{"version": 1, "status": "failed"}]}), "c")
    assert state.applied_revision == ""
    assert state.source is None


def test_a_long_release_name_is_cut_as_helm_controller_cuts_it():
    state = decode_object(helm(metadata={"name": "n" * 60}, spec={}), "c")
    assert state.helm is not None
    assert len(state.helm.release) == 53


def test_a_release_name_that_is_given_is_taken():
    state = decode_object(helm(spec={"releaseName": "mine", "targetNamespace": "prod"}), "c")
    assert state.helm is not None
    assert state.helm.release == "mine"


def test_a_chart_knows_its_repository_and_a_source_its_secrets():
    chart = decode_object(
        raw("HelmChart", f"{SOURCE}/v1", spec={"sourceRef": {"kind": "HelmRepository", "name": "r"}}), "c"
    )
    assert chart.source == ref("HelmRepository", "r")
    git = decode_object(
        raw(
            "GitRepository",
            f"{SOURCE}/v1",
            spec={"secretRef": {"name": "key"}},
            status={"artifact": {"revision": "m@1"}},
        ),
        "c",
    )
    assert git.artifact_revision == "m@1"
    assert [need.name for need in git.needs] == ["key"]


@pytest.mark.parametrize(
    ("annotations", "spec", "expected"),
    [
        ({}, {"suspend": True}, True),
        ({"fluxcd.controlplane.io/reconcile": "disabled"}, {}, True),
        ({"source.extensions.fluxcd.io/reconcile": "disabled"}, {}, True),
        ({"fluxcd.controlplane.io/reconcile": "enabled"}, {"suspend": "yes"}, False),
    ],
)
def test_suspension_is_a_field_or_an_annotation(annotations, spec, expected):
    state = decode_object(
        raw("ResourceSet", "fluxcd.controlplane.io/v1", spec=spec, metadata={"annotations": annotations}), "c"
    )
    assert state.suspended is expected


def test_metadata_owners_writers_and_conditions_are_read():
    state = decode_object(
        raw(
            metadata={
                "labels": {"a": "b", "odd": 1},
                "annotations": {
                    "reconcile.fluxcd.io/requestedAt": "now",
                    "kubectl.kubernetes.io/last-applied-configuration": "{}",
                },
                "finalizers": ["finalizers.fluxcd.io"],
                "creationTimestamp": "2026-03-01T03:00:00Z",
                "deletionTimestamp": "2026-03-01T03:00:01Z",
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "up"}],
                "managedFields": [
                    {
                        "manager": "helm-controller",
                        "operation": "Apply",
                        "subresource": "status",
                        "time": "2026-03-01T03:00:00Z",
                    }
                ],
            },
            status={
                "lastHandledReconcileAt": "now",
                "conditions": [
                    {
                        "type": "Ready",
                        "status": "False",
                        "reason": "X",
                        "message": "password=hunter22",
                        "observedGeneration": 2,
                        "lastTransitionTime": "2026-03-01T03:00:00Z",
                    },
                    "odd",
                ],
            },
            data={"secret": "x"},
        ),
        "c",
    )
    assert state.labels == {"a": "b"}
    assert state.requested_at == state.handled_at == "now"
    assert state.deleted_at == datetime(2026, 3, 1, 3, 0, 1, tzinfo=UTC)
    assert state.owners == (ref("Deployment", "up", "apps"),)
    assert state.writers == (Writer("helm-controller", "Apply", "status", AT),)
    assert state.ready is not None
    assert state.ready.message == "password=[redacted:value]"
    kept = parse(state.text)
    assert "data" not in kept
    assert "managedFields" not in kept["metadata"]  # type: ignore[operator]
    assert "last-applied" not in state.text


@pytest.mark.parametrize(
    "message",
    [
        "-----BEGIN RSA PRIVATE KEY-----\nMIIB, and cut off",
        'password=hunter22\\"quoted',
        'log: {\\"token\\": \\"abc123def\\"}',
    ],
)
def test_what_is_kept_of_an_object_is_json_whatever_was_taken_out(message):
    kept = parse(decode_object(raw(spec={"path": "./apps"}, status={"lastError": message}), "c").text)
    assert kept["spec"] == {"path": "./apps"}
    assert "[redacted:" in kept["status"]["lastError"]  # type: ignore[index]


def test_annotations_are_redacted_by_their_key_and_by_their_shape():
    notes = {"example.com/api-token": "s3cr3t", "url": "https://u:hunter22@host/x", "fluxcd.io/plain": "yes"}
    state = decode_object(raw(metadata={"annotations": notes}), "c")
    assert state.annotations == {
        "example.com/api-token": "[redacted:value]",
        "url": "https://[redacted:userinfo]@host/x",
        "fluxcd.io/plain": "yes",
    }
    assert "hunter22" not in state.text


def test_a_secret_in_the_template_of_another_object_keeps_its_keys_alone():
    template = {"kind": "Secret", "metadata": {"name": "db"}, "stringData": {"user": "ada-lovelace"}}
    state = decode_object(raw("ResourceSet", "fluxcd.controlplane.io/v1", spec={"resources": [template]}), "c")
    assert "ada-lovelace" not in state.text
    assert '"stringData":{"user":"[redacted:value]"}' in state.text


def test_what_was_kept_of_no_object_is_empty():
    assert parse("[1]") == {}


@pytest.mark.parametrize(
    "broken", [{}, {"kind": "X"}, {"metadata": {"name": "a"}}, {"kind": 1, "metadata": {"name": "a"}}]
)
def test_what_has_no_kind_or_name_is_no_object(broken):
    with pytest.raises(ValueError, match=r"needs kind and metadata\.name"):
        ref_of(broken, "c")


def test_a_deletion_names_the_incarnation():
    assert gone_of(raw(), "c", AT) == ObjectGone(AT, ref("Kustomization", "a", "kustomize.toolkit.fluxcd.io"), "u1")


def test_an_object_of_the_first_list_is_a_fact_and_no_transition():
    found = signal_of(raw(), "c", AT, initial=True)
    assert isinstance(found, ObjectChanged)
    assert found.initial


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("apps_web_apps_Deployment", ref("Deployment", "web", "apps")),
        ("_admin_rbac.authorization.k8s.io_ClusterRole", ref("ClusterRole", "admin", "rbac.authorization.k8s.io", "")),
        (
            "_system__basic-user_rbac.authorization.k8s.io_ClusterRole",
            ref("ClusterRole", "system:basic-user", "rbac.authorization.k8s.io", ""),
        ),
        ("apps_web__Service", ref("Service", "web", "")),
        ("nonsense", None),
        ("a_b_c_", None),
    ],
)
def test_an_inventory_entry_names_an_object(entry, expected):
    assert inventory_ref("c", entry) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1h30m", 5400.0),
        ("500ms", 0.5),
        ("1m0.5s", 60.5),
        ("", None),
        ("soon", None),
        ("5", None),
        (5, None),
        ("99999999999999h", None),
        ("1" * 70 + "h", None),
    ],
)
def test_a_go_duration_is_seconds_or_nothing(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-01T03:00:00Z", AT),
        ("2026-03-01T05:00:00+02:00", AT),
        ("2026-03-01T03:00:00", AT),
        ("0001-01-01T00:00:00Z", None),
        ("tomorrow", None),
        ("9999-12-31T23:59:59-05:00", None),
        (None, None),
    ],
)
def test_a_moment_is_utc_or_nothing(text, expected):
    assert moment(text) == expected


def test_a_truth_is_no_number():
    assert (number(True), number(3), number("3")) == (0, 3, 0)


def test_every_kind_is_found_by_its_resource_and_its_group():
    for kind in kinds.KINDS:
        assert kinds.by_resource(kinds.resource_of(kind)) is kind
        assert kinds.kind_of(kind.group, kind.kind) is kind
    assert kinds.by_resource("ghosts.example.com") is None
    assert kinds.group_for_kind("HelmRelease") == "helm.toolkit.fluxcd.io"
    assert kinds.group_for_kind("Ghost") == ""
    assert kinds.group_of("v1") == ""


FIELDS = [
    "artifact",
    "chart",
    "conditions",
    "containerStatuses",
    "dependsOn",
    "entries",
    "healthChecks",
    "history",
    "id",
    "inventory",
    "kind",
    "kubeConfig",
    "message",
    "name",
    "observedGeneration",
    "phase",
    "reason",
    "replicas",
    "secretRef",
    "sourceRef",
    "spec",
    "state",
    "status",
    "type",
    "values",
    "waiting",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([(kind.kind, f"{kind.group}/v1".lstrip("/")) for kind in kinds.KINDS]), JSON, JSON, JSON)
def test_no_object_of_any_shape_is_a_reason_to_raise(kind, spec, status, annotations):
    name, api = kind
    odd = {
        "apiVersion": api,
        "kind": name,
        "metadata": {"name": "a", "annotations": annotations},
        "spec": spec,
        "status": status,
    }
    first, second = signal_of(odd, "c", AT), signal_of(orjson.loads(json.dumps(odd)), "c", AT)
    assert first == second


@pytest.mark.parametrize(
    ("kind", "version", "expected"),
    [
        ("Kustomization", "kustomize.toolkit.fluxcd.io/v1", 600.0),
        ("HelmRelease", "helm.toolkit.fluxcd.io/v2", None),
    ],
)
def test_a_kustomization_without_a_retry_interval_is_tried_again_at_its_interval(kind, version, expected):
    state = decode_object(raw(kind, version, spec={"interval": "10m"}), "c")
    assert state.retry_interval == expected


def test_a_dependency_on_what_belongs_to_no_namespace_has_none():
    crd = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "name": "a.example.com"}
    state = decode_object(raw("ResourceSet", "fluxcd.controlplane.io/v1", spec={"dependsOn": [crd]}), "c")
    assert [str(dependency.ref) for dependency in state.depends_on] == ["CustomResourceDefinition/a.example.com"]
