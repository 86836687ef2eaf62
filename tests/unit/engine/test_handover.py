"""Who waits for two causes stays with the first until that is mended, and goes on with the other then."""

from typing import Any

from daemon.engine.membership import join
from daemon.model.incidents import Role
from tests.builders import Cluster, Story, failing, needs, pods, ready, ref, unhealthy, waiting

GIT = ref("GitRepository", "repo")
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
    found = next(case.findings for case in story.cases if case.incident.root == beta)
    assert sorted(each.ref.name for each in found) == ["beta", "stack"]
    assert incident(story, alpha).state.value == "resolved"
    assert incident(story, beta).state.value == "open"


def test_a_root_that_waits_for_a_member_gives_its_place_to_that_one_and_to_no_other_that_fails():
    cluster, a = Cluster(), ref("Kustomization", "a")
    blames = unhealthy("Kustomization/apps/a")
    story = (
        Story().see(cluster.state("Kustomization", "a", failing("X", "context deadline exceeded"), source=GIT)).wait(6)
    )
    for name in "bz":
        story.see(cluster.state("Kustomization", name, blames, contains=(a,), source=GIT)).wait(6)
    assert members(story, a) == {"a", "b", "z"}
    for name in "bz":
        story.see(cluster.state("Kustomization", name, failing("X", "by now"), contains=(a,), source=GIT))
    waits = waiting("apps/z")
    story.see(cluster.state("Kustomization", "a", waits, depends_on=needs(ref("Kustomization", "z")), source=GIT)).wait(
        1
    )
    assert story.case.incident.root == ref("Kustomization", "z")


def test_a_root_that_waits_and_has_no_finding_is_not_well():
    cluster, a = Cluster(), ref("Kustomization", "a")
    story = Story().see(cluster.state("Kustomization", "a", failing("X"), source=GIT)).wait(6)
    story.see(cluster.state("Kustomization", "b", unhealthy("Kustomization/apps/a"), contains=(a,), source=GIT)).wait(6)
    story.see(cluster.state("Kustomization", "b", failing("X", "by now"), contains=(a,), source=GIT))
    waits = waiting("apps/c")
    story.see(cluster.state("Kustomization", "a", waits, depends_on=needs(ref("Kustomization", "c")), source=GIT))
    assert story.wait(900).case.incident.root == a


def test_a_member_that_comes_back_from_another_incident_is_a_dependent_again_and_keeps_it_open():
    cluster = Cluster()
    alpha, beta = ref("HelmRelease", "alpha"), ref("HelmRelease", "beta")
    made: dict[str, Any] = {"source": ref("HelmChart", "c")}

    def blames(name: str):
        return cluster.state("Kustomization", "stack", unhealthy(f"HelmRelease/apps/{name}"), contains=(alpha, beta))

    story = Story().see(cluster.state("HelmRelease", "alpha", failing("UpgradeFailed"), **made)).wait(6)
    story.see(cluster.state("HelmRelease", "beta", failing("UpgradeFailed"), **made)).wait(6)
    story.see(blames("alpha")).wait(20).see(blames("beta")).wait(20).see(blames("alpha")).wait(20)
    back = next(member for member in incident(story, alpha).members if member.ref.name == "stack")
    assert (back.role, back.parent, back.recovered_at) == (Role.DEPENDENT, alpha, None)
    entry = [each for each in incident(story, alpha).timeline if each.object == back.ref][-1]
    said = "HealthCheckFailed: health check failed: HelmRelease/apps/alpha InProgress"
    assert (entry.kind, entry.actor, entry.text) == ("joined", "flux", f"Kustomization apps/stack is back: {said}")
    assert back.reason == said
    assert story.reasons[-1] == "joined"
    story.see(cluster.state("HelmRelease", "alpha", ready(), **made)).wait(100)
    assert story.cases[0].incident.state.value == "open"
    story.see(cluster.state("Kustomization", "stack", ready(), contains=(alpha, beta))).wait(100)
    assert story.cases[0].incident.state.value == "resolved"


def test_a_workload_that_is_held_stays_related_whatever_is_found_of_it():
    cluster = Cluster()
    workload = ref("Deployment", "web")
    story = Story().see(cluster.state("Deployment", "web", replicas=pods(0, 1)))
    story.see(cluster.state("Kustomization", "a", unhealthy("Deployment/apps/web"))).wait(6)
    join(story.world, story.case, workload, None)
    assert [member.role for member in story.case.incident.members if member.ref == workload] == [Role.RELATED]
