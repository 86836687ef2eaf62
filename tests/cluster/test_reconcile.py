"""The action `reconcile` on real Flux: source first, a token of its own, and handled by the controller, not assumed."""

import pytest

from tests.cluster import manifests
from tests.cluster.eventually import eventually
from tests.cluster.story import SOURCE, Story

RULE = """
apiVersion: fluxmedic.dev/v1
kind: Rule
metadata: {{name: story}}
spec:
  match: {{kind: {kind}, namespace: {namespace}, name: {name}, health: Failed}}
  for: 5s
  severity: warning
  summary: "{{{{ ready.message | truncate(200) }}}}"
  remediation:
    mode: auto
    steps: [{{action: reconcile, with: {{source: true}}}}]
    resolve_after: 5s
"""


def rule(story: Story, kind: str, name: str) -> str:
    path = story.folder / "rules.yaml"
    path.write_text(RULE.format(kind=kind, namespace=story.name, name=name))
    return str(path)


async def handled(story: Story, kind: str, name: str) -> str:
    """Wait until the controller has handled what fluxmedic asked for; return the token."""

    async def look() -> tuple[str, str]:
        found = await story.api.get(kind, story.name, name) or {}
        asked = found.get("metadata", {}).get("annotations", {}).get("reconcile.fluxcd.io/requestedAt", "")
        return asked, found.get("status", {}).get("lastHandledReconcileAt", "")

    def holds(seen: tuple[str, str]) -> bool:
        return "fluxmedic" in seen[0] and seen[0] == seen[1]

    return (await eventually(f"{kind} {name} to handle our request", look, holds, within=90))[0]


async def test_a_kustomization_is_reconciled_after_its_source_and_proven(story: Story):
    await story.fleet({"api": ()}, retryInterval="20m", interval="20m")
    watchman = await story.watchman(MODE="auto", RULES=rule(story, "Kustomization", "api"))
    await story.api.patch(
        "Kustomization",
        story.name,
        "api",
        {"spec": {"postBuild": {"substituteFrom": [{"kind": "ConfigMap", "name": "settings"}]}}},
    )
    await story.ready("Kustomization", "api", status="False")
    await story.apply(manifests.config_map(story.name, "settings", x="y"))
    assert await handled(story, "GitRepository", SOURCE) == await handled(story, "Kustomization", "api")
    incident = await story.incident(watchman, "Kustomization/api")
    done = await story.resolved(watchman, incident["id"])
    assert done["remediation"]["phase"] == "succeeded"
    steps = [each["text"] for each in await watchman.timeline(incident["id"])]
    assert any("its source first" in each for each in steps)


CHART = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}}
spec:
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}}, annotations: {tests.fluxmedic.dev/pod: "{{ .Values.pod }}"}}
    spec: {containers: [{name: app, image: "registry.example.test/app:1"}]}
"""


async def test_a_release_whose_values_were_mended_is_reconciled_and_proven(story: Story):
    story.repositories.chart("app", "1.0.0", {"all.yaml": CHART})
    await story.apply(
        manifests.helm_repository(story.name, "charts", story.repositories.charts_url),
        manifests.config_map(story.name, "values", **{"values.yaml": "pod: crash"}),
    )
    reference = {"kind": "ConfigMap", "name": "values"}
    watchman = await story.watchman(MODE="auto", RULES=rule(story, "HelmRelease", "db"))
    await story.apply(
        manifests.helm_release(story.name, "db", "app", "1.0.0", "charts", valuesFrom=[reference], interval="20m")
    )
    await story.ready("HelmRelease", "db", status="False", reason="InstallFailed")
    await story.apply(manifests.config_map(story.name, "values", **{"values.yaml": "pod: well"}))
    await handled(story, "HelmRelease", "db")
    incident = await story.incident(watchman, "HelmRelease/db")
    await story.resolved(watchman, incident["id"])


SOURCES = {
    "GitRepository": lambda story: manifests.git_repository(story.name, "broken", story.repositories.url("later")),
    "HelmRepository": lambda story: manifests.helm_repository(story.name, "broken", story.repositories.charts_url),
    "OCIRepository": lambda story: manifests.made(
        "OCIRepository",
        story.name,
        "broken",
        {"url": f"oci://{story.repositories.address.removeprefix('http://')}/app", "interval": "20m", "insecure": True},
    ),
    "Bucket": lambda story: manifests.made(
        "Bucket",
        story.name,
        "broken",
        {
            "endpoint": story.repositories.address.removeprefix("http://"),
            "bucketName": "none",
            "interval": "20m",
            "insecure": True,
            "timeout": "10s",
        },
    ),
}


async def test_a_chart_that_cannot_be_fetched_is_asked_to_look_again_and_handles_it(story: Story):
    story.repositories.chart("app", "1.0.0", {})
    source = {"kind": "HelmRepository", "name": "charts"}
    spec = {"chart": "none", "version": "1.0.0", "interval": "20m", "sourceRef": source}
    await story.apply(manifests.helm_repository(story.name, "charts", story.repositories.charts_url))
    watchman = await story.watchman(MODE="auto", RULES=rule(story, "HelmChart", "broken"))
    await story.apply(manifests.made("HelmChart", story.name, "broken", spec))
    await story.incident(watchman, "HelmChart/broken")
    assert await handled(story, "HelmRepository", "charts") == await handled(story, "HelmChart", "broken")


@pytest.mark.parametrize("kind", SOURCES)
async def test_a_failing_source_is_asked_to_look_again_and_handles_it(story: Story, kind: str):
    watchman = await story.watchman(MODE="auto", RULES=rule(story, kind, "broken"))
    await story.apply(SOURCES[kind](story))
    incident = await story.incident(watchman, f"{kind}/broken")
    token = await handled(story, kind, "broken")

    async def texts() -> list[str]:
        return [each["text"] for each in await watchman.timeline(incident["id"])]

    def told(found: list[str]) -> bool:
        return any("reconcile.fluxcd.io/requestedAt" in each for each in found) and any(
            "handled" in each for each in found
        )

    await eventually("the timeline to say that it was handled", texts, told, within=60)
    assert token.startswith("fluxmedic-")
