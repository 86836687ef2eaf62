"""One cause that many name in their own words: a chart, a key, a server, a child that says by itself how it is."""

from dataclasses import replace
from typing import Any

import pytest

from daemon.model.objects import Condition
from daemon.model.refs import ObjectRef
from tests.builders import Cluster, Story, failing, needs, ready, ref, unhealthy, waiting

REPOSITORY = ref("HelmRepository", "charts")
IMAGE = "image.toolkit.fluxcd.io"
NO_VERSION = "no 'redis' chart with version matching '20.9.9' found"
DENIED = "unable to clone: authentication required: HTTP Basic: Access denied"
RULES = """
apiVersion: fluxmedic.dev/v1
kind: Rule
metadata: {name: failed}
spec:
  match:
    kind: [Kustomization, HelmRelease, HelmChart, GitRepository, ImageRepository, ImageUpdateAutomation]
    health: Failed
  severity: critical
  summary: "{{ ref.name }} fails"
"""


def other(cluster: Cluster, kind: str, name: str, *conditions: Condition, **facts: Any):
    """An object of the image group."""
    state = cluster.state(kind, name, *conditions, **facts)
    return replace(state, ref=image(kind, name))


def image(kind: str, name: str) -> ObjectRef:
    return ObjectRef("default", IMAGE, kind, "apps", name)


def test_a_chart_that_somebody_wrote_asks_for_itself_and_takes_its_releases_in():
    cluster, chart = Cluster(), ref("HelmChart", "shared")
    why = f"HelmChart 'apps/shared' is not ready: {NO_VERSION}"
    story = Story(RULES).see(
        cluster.state("HelmChart", "shared", failing("InvalidChartReference", NO_VERSION)),
        cluster.state("HelmRelease", "a", failing("SourceNotReady", why), source=chart),
        cluster.state("HelmRelease", "b", failing("SourceNotReady", why), source=chart),
    )
    assert story.case.incident.root == chart
    assert story.members() == {str(chart), "HelmRelease/apps/a", "HelmRelease/apps/b"}


def test_a_chart_that_was_made_for_a_release_blames_the_release_that_asks():
    cluster, chart = Cluster(), ref("HelmChart", "apps-a")
    why = f"HelmChart 'apps/apps-a' is not ready: {NO_VERSION}"
    story = Story(RULES).see(
        cluster.state(
            "HelmChart", "apps-a", failing("InvalidChartReference", NO_VERSION), source=ref("HelmRepository", "r")
        ),
        cluster.state("HelmRelease", "a", failing("SourceNotReady", why), source=chart),
    )
    assert story.case.incident.root == ref("HelmRelease", "a")


def test_a_check_that_waits_for_an_image_repository_is_told_with_it():
    cluster, shop = Cluster(), image("ImageRepository", "shop")
    story = Story(RULES).see(
        other(cluster, "ImageRepository", "shop", failing("AuthenticationFailed", "UNAUTHORIZED")),
        cluster.state("Kustomization", "images", unhealthy("ImageRepository/apps/shop"), contains=(shop,)),
        cluster.state(
            "Kustomization", "after", waiting("apps/images"), depends_on=needs(ref("Kustomization", "images"))
        ),
    )
    assert story.case.incident.root == shop
    assert len(story.members()) == 3


def test_a_check_that_waits_for_an_image_repository_which_is_well_has_a_fault_of_its_own():
    cluster = Cluster()
    story = Story(RULES).see(
        other(cluster, "ImageRepository", "shop", ready()),
        cluster.state("Kustomization", "images", failing("BuildFailed"), wait=True),
    )
    assert story.case.incident.root == ref("Kustomization", "images")


def test_sources_that_one_secret_does_not_let_in_are_one_incident():
    cluster, secret = Cluster(), ref("Secret", "token")
    told = [
        cluster.state("GitRepository", name, failing("GitOperationFailed", f"{DENIED} {name}"), credentials=(secret,))
        for name in ("a", "b")
    ]
    story = Story(RULES).see(*told)
    assert story.members() == {"GitRepository/apps/a", "GitRepository/apps/b"}


@pytest.mark.parametrize(
    ("message", "secrets"),
    [("couldn't find remote ref refs/heads/main", ("token", "token")), (DENIED, ("token", "other"))],
)
def test_sources_that_fail_of_something_else_or_with_other_secrets_stay_apart(message: str, secrets: tuple[str, str]):
    cluster = Cluster()
    told = [
        cluster.state("GitRepository", f"{number}", failing("X", message), credentials=(ref("Secret", secret),))
        for number, secret in enumerate(secrets)
    ]
    assert len(Story(RULES).see(*told).cases) == 2


@pytest.mark.parametrize(("reason", "together"), [("GitOperationFailed", True), ("UpdateFailed", False)])
def test_an_automation_that_cannot_read_what_its_source_cannot_read_either_is_told_with_it(reason: str, together: bool):
    cluster, source = Cluster(), ref("GitRepository", "repo")
    story = Story(RULES).see(
        cluster.state("GitRepository", "repo", failing("GitOperationFailed", DENIED)),
        other(cluster, "ImageUpdateAutomation", "bump", failing(reason, DENIED), source=source),
    )
    assert len(story.cases) == (1 if together else 2)
    assert story.cases[0].incident.root in (source, image("ImageUpdateAutomation", "bump"))


def test_an_automation_whose_source_is_well_fails_of_its_own():
    cluster, source = Cluster(), ref("GitRepository", "repo")
    story = Story(RULES).see(
        cluster.state("GitRepository", "repo", ready()),
        other(cluster, "ImageUpdateAutomation", "bump", failing("GitOperationFailed", DENIED), source=source),
    )
    assert story.case.incident.root == image("ImageUpdateAutomation", "bump")


@pytest.mark.parametrize(("later", "incidents"), [(600, 1), (1200, 2)])
def test_who_is_refused_with_the_same_secret_much_later_is_refused_for_something_else(later: float, incidents: int):
    cluster = Cluster()
    facts: dict[str, Any] = {"credentials": (ref("Secret", "token"),)}
    story = Story(RULES).see(cluster.state("GitRepository", "a", failing("GitOperationFailed", DENIED), **facts))
    story.wait(later).see(cluster.state("GitRepository", "b", failing("GitOperationFailed", DENIED), **facts))
    assert len(story.cases) == incidents


def test_of_those_that_fail_later_the_first_of_them_stands_for_the_rest():
    cluster = Cluster()
    facts: dict[str, Any] = {"credentials": (ref("Secret", "token"),)}
    story = Story(RULES).see(cluster.state("GitRepository", "a", failing("GitOperationFailed", DENIED), **facts))
    story.wait(1200)
    for name in "bcd":
        story.see(cluster.state("GitRepository", name, failing("GitOperationFailed", DENIED), **facts)).wait(60)
    assert [len(case.incident.members) for case in story.cases] == [1, 3]


def test_a_server_that_answers_5xx_fails_sources_alike_and_nobody_else():
    cluster = Cluster()
    busy = "failed to fetch https://git.corp.io/{}/index.yaml : 503 Service Unavailable"
    story = Story(RULES).see(
        cluster.state("GitRepository", "a", failing("GitOperationFailed", busy.format("a"))),
        cluster.state("GitRepository", "b", failing("GitOperationFailed", busy.format("b"))),
        cluster.state("Kustomization", "c", failing("BuildFailed", busy.format("c"))),
    )
    assert sorted(len(case.incident.members) for case in story.cases) == [1, 2]


def test_a_source_that_fails_of_something_else_by_now_is_not_counted_to_the_others():
    cluster = Cluster()
    facts: dict[str, Any] = {"credentials": (ref("Secret", "token"),)}
    story = Story(RULES).see(cluster.state("GitRepository", "a", failing("GitOperationFailed", DENIED), **facts))
    story.see(cluster.state("GitRepository", "a", failing("GitOperationFailed", "no such branch"), **facts)).wait(10)
    assert story.world.objects[ref("GitRepository", "a")].shared == ""
