"""Who waits for two causes stays with the first until that is mended, and goes on with the other then."""

from typing import Any

from tests.builders import Cluster, Story, failing, needs, ready, ref, unhealthy, waiting

VAULT, CHOIR, ALTAR = (ref("Kustomization", name) for name in ("vault", "choir", "altar"))


def two_causes() -> tuple[Cluster, Story]:
    cluster = Cluster()
    story = Story().see(cluster.state("Kustomization", "vault", failing())).wait(10)
    story.see(
        cluster.state("Kustomization", "choir", failing()),
        cluster.state("Kustomization", "altar", waiting("apps/choir"), depends_on=needs(VAULT, CHOIR)),
    )
    return cluster, story.wait(10)


def incident(story: Story, root):
    return next(case.incident for case in story.cases if case.incident.root == root)


def members(story: Story, root) -> set[str]:
    return {member.ref.name for member in incident(story, root).members}


def test_while_both_causes_last_a_victim_of_both_stays_with_the_first():
    _, story = two_causes()
    assert members(story, VAULT) == {"vault", "altar"}
    assert members(story, CHOIR) == {"choir"}


def test_when_its_first_cause_is_mended_a_victim_goes_on_with_the_other_and_keeps_nothing_open():
    cluster, story = two_causes()
    story.see(cluster.state("Kustomization", "vault", ready())).wait(60)
    assert incident(story, VAULT).state.value == "resolved"
    assert "altar" in members(story, CHOIR)
    left = [entry.text for entry in incident(story, VAULT).timeline if entry.kind == "left"]
    assert left == ["Kustomization apps/altar waits for Kustomization/apps/choir by now: it goes on there"]
    assert incident(story, CHOIR).id in incident(story, VAULT).related
    story.see(cluster.state("Kustomization", "choir", ready())).wait(60)
    assert incident(story, CHOIR).state.value == "open"
    story.see(cluster.state("Kustomization", "altar", ready(), depends_on=needs(VAULT, CHOIR))).wait(60)
    assert incident(story, CHOIR).state.value == "resolved"


def test_a_victim_whose_own_root_is_in_no_incident_stays_where_it_is():
    cluster, story = Cluster(), Story()
    altar = cluster.state("Kustomization", "altar", waiting("apps/vault"), depends_on=needs(VAULT))
    story.see(cluster.state("Kustomization", "vault", failing()), altar).wait(10)
    story.see(cluster.state("Kustomization", "vault", ready())).wait(20)
    assert story.case.incident.state.value == "open"
    assert not [entry for entry in story.case.incident.timeline if entry.kind == "left"]


def test_a_parent_whose_check_blames_another_child_by_now_goes_on_with_that_one():
    cluster = Cluster()
    alpha, beta = ref("HelmRelease", "alpha"), ref("HelmRelease", "beta")
    made: dict[str, Any] = {"source": ref("HelmChart", "c")}
    story = Story().see(cluster.state("HelmRelease", "alpha", failing("UpgradeFailed"), **made)).wait(6)
    story.see(cluster.state("HelmRelease", "beta", failing("UpgradeFailed"), **made)).wait(6)
    story.see(
        cluster.state("Kustomization", "stack", unhealthy("HelmRelease/apps/alpha"), contains=(alpha, beta)),
        cluster.state("Kustomization", "after", waiting("apps/stack"), depends_on=needs(ref("Kustomization", "stack"))),
    ).wait(10)
    assert members(story, alpha) == {"alpha", "stack", "after"}
    story.see(cluster.state("HelmRelease", "alpha", ready(), **made)).wait(10)
    story.see(cluster.state("Kustomization", "stack", unhealthy("HelmRelease/apps/beta"), contains=(alpha, beta)))
    story.wait(60)
    assert members(story, beta) == {"beta", "stack", "after"}
    assert incident(story, alpha).state.value == "resolved"
    assert incident(story, beta).state.value == "open"
