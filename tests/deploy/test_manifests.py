"""What stands in deploy/: it parses, names only what exists, and asks for a pod that can do little."""

import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from daemon.engine.view import WorldView
from daemon.engine.world import World
from daemon.model.errors import ConfigError
from daemon.model.findings import Severity
from daemon.model.ports import Readiness
from daemon.model.remedies import Mode
from daemon.rules.compile import compile_rules
from daemon.runtime.clock import LoopClock, SystemClock
from daemon.runtime.inbox import KeyedInbox
from daemon.settings import load, rule_paths
from daemon.sources.webhook import FluxWebhook
from daemon.web.server import Vitals, WebServer

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
NAME = "fluxmedic"


def pod(manifests):
    return manifests.one("base", "Deployment")["spec"]["template"]["spec"]


def container(manifests):
    found = pod(manifests)["containers"]
    assert len(found) == 1
    return found[0]


def server_paths() -> set[str]:
    vitals = Vitals(lambda: Readiness(ready=True), lambda: 0.0, lambda: b"")
    app = WebServer(WorldView(World()), vitals, LoopClock(START)).app()
    return {route.resource.canonical for route in app.router.routes() if route.resource is not None}


# All of them


def test_every_manifest_parses_and_says_what_it_is(manifests) -> None:
    assert len(manifests.files()) > 10
    for file in manifests.files():
        for item in manifests.documents(file):
            assert item["apiVersion"], file
            assert item["kind"], file
            assert item["kind"] in ("Kustomization", "Component") or item["metadata"]["name"] in (
                NAME,
                f"{NAME}-auto-fix",
                f"{NAME}-rules",
            ), file


def test_everything_that_a_kustomization_names_exists(manifests) -> None:
    found = [file for file in manifests.files() if file.name == "kustomization.yaml"]
    assert len(found) == 5
    for file in found:
        body = manifests.documents(file)[0]
        for name in [*body["resources"], *body.get("components", [])]:
            target = (file.parent / name).resolve()
            assert target.is_file() or (target / "kustomization.yaml").is_file(), (file, name)


def test_every_manifest_beside_a_kustomization_is_named_by_it(manifests) -> None:
    for file in manifests.files():
        if file.name != "kustomization.yaml":
            body = manifests.documents(file.parent / "kustomization.yaml")[0]
            assert file.name in body["resources"], file


def test_there_is_one_component(manifests) -> None:
    kinds = [manifests.documents(file)[0]["kind"] for file in manifests.files() if file.name == "kustomization.yaml"]
    assert kinds.count("Component") == 1


def test_no_manifest_names_a_registry_or_a_secret_value(manifests) -> None:
    for file in manifests.files():
        for item in manifests.documents(file):
            assert item["kind"] != "Secret", file
        for image in re.findall(r"^\s*image: (\S+)$", file.read_text(), re.MULTILINE):
            assert "/" not in image, file


# The pod


def test_the_pod_runs_as_nobody_on_a_file_system_that_it_cannot_write(manifests) -> None:
    body, one = pod(manifests), container(manifests)
    assert body["securityContext"]["runAsNonRoot"] is True
    assert body["securityContext"]["runAsUser"] >= 10_000
    assert body["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert one["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & set(body)


def test_the_namespace_enforces_the_restricted_profile(manifests) -> None:
    labels = manifests.one("base", "Namespace")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_the_pod_is_given_a_bound_token_and_no_other(manifests) -> None:
    assert manifests.one("base", "ServiceAccount")["automountServiceAccountToken"] is False
    body = pod(manifests)
    assert body["automountServiceAccountToken"] is False
    assert body["serviceAccountName"] == manifests.one("base", "ServiceAccount")["metadata"]["name"]
    sources = next(each for each in body["volumes"] if "projected" in each)["projected"]["sources"]
    assert sources[0]["serviceAccountToken"] == {"path": "token", "expirationSeconds": 3600}


def test_requests_and_limits_are_set_and_memory_is_guaranteed(manifests) -> None:
    rows = container(manifests)["resources"]
    assert set(rows["requests"]) == set(rows["limits"]) == {"cpu", "memory"}
    assert rows["requests"]["memory"] == rows["limits"]["memory"]


def test_the_probes_ask_paths_that_the_server_answers(manifests) -> None:
    one = container(manifests)
    paths = {name: one[name]["httpGet"]["path"] for name in ("livenessProbe", "readinessProbe", "startupProbe")}
    assert paths == {"livenessProbe": "/healthz", "readinessProbe": "/readyz", "startupProbe": "/healthz"}
    assert set(paths.values()) <= server_paths()
    assert one["livenessProbe"]["httpGet"]["port"] == one["ports"][0]["name"]


def test_p2_there_is_never_a_second_daemon_over_the_ledger(manifests) -> None:
    spec = manifests.one("base", "Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_the_ledger_lies_on_a_volume_that_outlives_the_pod(manifests) -> None:
    url = manifests.environment()["FLUXMEDIC_LEDGER__URL"]
    place = PurePosixPath(urlsplit(url).path.removeprefix("/"))
    mounts = {each["mountPath"]: each["name"] for each in container(manifests)["volumeMounts"]}
    volume = next(each for each in pod(manifests)["volumes"] if each["name"] == mounts[str(place.parent)])
    claim = manifests.one("base", "PersistentVolumeClaim")
    assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]


def test_every_mount_has_its_volume(manifests) -> None:
    mounts = {each["name"] for each in container(manifests)["volumeMounts"]}
    assert mounts == {each["name"] for each in pod(manifests)["volumes"]}


def test_selectors_of_service_and_policy_find_the_pod(manifests) -> None:
    deployment = manifests.one("base", "Deployment")["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    assert deployment["selector"]["matchLabels"] == labels
    assert manifests.one("base", "Service")["spec"]["selector"] == labels
    assert manifests.one("base", "NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == labels


def test_the_network_is_closed_but_for_what_is_named(manifests) -> None:
    spec = manifests.one("base", "NetworkPolicy")["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert all(rule["from"] and rule["ports"] for rule in spec["ingress"])
    assert {port["port"] for rule in spec["egress"] for port in rule["ports"]} == {53, 443, 6443}


# Settings


def test_the_environment_of_the_base_is_made_of_real_settings(manifests) -> None:
    settings = load(manifests.environment()).settings
    assert (settings.mode, settings.helm_storage) == (Mode.OBSERVE, False)
    port = settings.http.bind.rpartition(":")[2]
    assert container(manifests)["ports"][0]["containerPort"] == int(port)
    assert manifests.one("base", "Service")["spec"]["ports"][0]["port"] == int(port)


def test_the_variables_that_kubernetes_makes_of_our_service_do_not_reach_the_settings(manifests) -> None:
    # A Service called fluxmedic would give every pod beside it FLUXMEDIC_SERVICE_HOST: no setting, so no start.
    prefix = manifests.one("base", "Service")["metadata"]["name"].upper()
    with pytest.raises(ConfigError, match="no setting is called service_host"):
        load(manifests.environment() | {f"{prefix}_SERVICE_HOST": "10.0.0.1"})
    assert pod(manifests)["enableServiceLinks"] is False


def test_the_component_sets_mode_auto_and_sees_helm_storage(manifests) -> None:
    settings = load(manifests.environment() | manifests.patched_environment("components/auto-fix")).settings
    assert (settings.mode, settings.helm_storage) == (Mode.AUTO, True)


def test_the_webhook_example_names_a_key_where_the_secret_is_mounted(manifests) -> None:
    settings = load(manifests.environment() | manifests.patched_environment("examples/webhook")).settings
    mounts = {each["mountPath"]: each["name"] for each in container(manifests)["volumeMounts"]}
    assert settings.hook.key_file is not None
    assert mounts[str(settings.hook.key_file.parent)] == "secrets"


def test_the_provider_posts_where_the_daemon_listens(manifests) -> None:
    spec = manifests.one("examples/webhook", "Provider")["spec"]
    assert spec["type"] == "generic-hmac"
    assert spec["secretRef"]["name"] == NAME
    address = urlsplit(spec["address"])
    service = manifests.one("base", "Service")
    assert address.hostname == f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc"
    assert address.port == service["spec"]["ports"][0]["port"]
    assert [route.path for route in FluxWebhook("c", KeyedInbox(), SystemClock(), b"k").routes()] == [address.path]


def test_the_alert_sends_to_the_provider_what_every_kind_says(manifests) -> None:
    spec = manifests.one("examples/webhook", "Alert")["spec"]
    provider = manifests.one("examples/webhook", "Provider")["metadata"]["name"]
    assert (spec["providerRef"]["name"], spec["eventSeverity"]) == (provider, "info")
    assert {"Kustomization", "HelmRelease", "GitRepository"} <= {each["kind"] for each in spec["eventSources"]}


# As kustomize builds it


@pytest.fixture(scope="module")
def built(manifests):
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed here")

    def build(folder: str) -> dict[str, dict[str, Any]]:
        done = subprocess.run(
            [kubectl, "kustomize", str(manifests.deploy / folder)], capture_output=True, text=True, check=True
        )
        items = [each for each in yaml.safe_load_all(done.stdout) if each]
        return {f"{item['kind']}/{item['metadata']['name']}": item for item in items}

    return build


def test_the_base_builds_with_all_that_it_names(manifests, built) -> None:
    found = built("base")
    assert set(found) == {f"{item['kind']}/{item['metadata']['name']}" for item in manifests.of("base")}
    image = found[f"Deployment/{NAME}"]["spec"]["template"]["spec"]["containers"][0]["image"]
    assert re.fullmatch(r"fluxmedic:\d+\.\d+\.\d+", image)


def test_the_component_adds_its_rights_and_its_fence_and_keeps_the_rest(built) -> None:
    base, fixing = built("base"), built("examples/auto-fix")
    assert set(fixing) - set(base) == {
        f"{kind}/{NAME}-auto-fix"
        for kind in (
            "ClusterRole",
            "ClusterRoleBinding",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
        )
    }
    rows = fixing[f"Deployment/{NAME}"]["spec"]["template"]["spec"]["containers"][0]["env"]
    values = {row["name"]: row["value"] for row in rows}
    assert values["FLUXMEDIC_MODE"] == "auto"
    assert load(values).settings.http.bind == "0.0.0.0:8080"


def test_the_webhook_example_builds(built) -> None:
    assert {f"Provider/{NAME}", f"Alert/{NAME}", f"Deployment/{NAME}"} <= set(built("examples/webhook"))


def test_the_rules_of_the_example_add_to_the_shipped_ones(manifests) -> None:
    values = manifests.patched_environment("examples/rules")
    shipped, mounted = rule_paths(load(values).settings)
    own = manifests.one("examples/rules", "ConfigMap")["data"]
    body = manifests.documents(manifests.deploy / "examples/rules/kustomization.yaml")[0]
    mounts = yaml.safe_load(body["patches"][0]["patch"])
    (container,) = mounts["spec"]["template"]["spec"]["containers"]
    assert [each["mountPath"] for each in container["volumeMounts"]] == [str(mounted)]
    found = compile_rules([*((path.name, path.read_text()) for path in sorted(shipped.glob("*.yaml"))), *own.items()])
    assert found.rule("helm-rolled-back").severity is Severity.WARNING
    assert "suspended-long" in found.detectors_off
