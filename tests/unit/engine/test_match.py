"""Rules against one object: what they see, what they cost, and how a verdict is explained."""

from typing import Any

from daemon.engine.facts import Facts
from daemon.engine.match import OVERRUNS_TO_DISABLE, shown, trace
from daemon.engine.view import WorldView
from daemon.engine.world import Known, World
from daemon.model.objects import ObjectState
from daemon.model.refs import IncidentId, ObjectRef
from daemon.model.signals import EventSeen, Stale, Synced
from daemon.rules import scope
from tests.builders import T0, Cluster, Story, failing, helm, needs, pods, progressing, ready, ref, waiting

RULE = """
apiVersion: fluxmedic.dev/v1
kind: Rule
metadata: {name: NAME}
spec:
  match: {kind: [Kustomization, HelmRelease], health: Failed}
  when: WHEN
  enabled: ENABLED
  severity: warning
  summary: "{{ ref.name }} of {{ owner.path }} at {{ revision }}: {{ culprit }} {{ release.chart }} {{ source.name }}"
  examples:
    - {name: fires, given: [{ready: "False", reason: X}], after: 1s, expect: {state: firing}}
    - {name: quiet, given: [{ready: "True"}], after: 1s, expect: {state: none}}
"""


def rule(when: str = "ready.reason == 'BuildFailed'", name: str = "r", enabled: str = "true") -> str:
    return RULE.replace("WHEN", when).replace("NAME", name).replace("ENABLED", enabled)


def seen(story: Story, name: str = "a", kind: str = "Kustomization") -> dict[str, Any]:
    found = known(story, name, kind)
    return dict(Facts(story.world, found, shown(found)))


def known(story: Story, name: str = "a", kind: str = "Kustomization"):
    return story.world.objects[ref(kind, name)]


def test_a_summary_knows_owner_path_revision_and_culprit():
    cluster = Cluster()
    state = cluster.state(
        "HelmRelease",
        "db",
        failing("BuildFailed", "it broke"),
        helm=helm("db"),
        attempted_revision="2",
        source=ref("HelmRepository", "repo"),
    )
    owner = cluster.state("Kustomization", "app", ready(), contains=(state.ref,), path="./apps")
    story = Story(rule()).see(owner, state)
    assert story.case.incident.summary == "db of ./apps at 2: it broke  repo"


def test_rules_see_the_failure_and_not_the_retry_that_hides_it():
    cluster = Cluster()
    story = Story(rule()).see(cluster.state("Kustomization", "a", failing()))
    story.see(cluster.state("Kustomization", "a", progressing()))
    assert seen(story)["ready"]["reason"] == "BuildFailed"


def test_an_expression_sees_neighbours_workloads_and_the_last_event():
    cluster = Cluster()
    claim = {"meta.helm.sh/release-name": "db"}
    story = Story(rule()).see(
        cluster.state("Deployment", "db", annotations=claim, replicas=pods(1, 3)),
        cluster.state("HelmRelease", "db", ready(), helm=helm("db"), depends_on=needs(ref("HelmRelease", "base"))),
        cluster.state("HelmRelease", "base", failing("X")),
    )
    story.give(EventSeen(T0, ref("HelmRelease", "db"), "Slow", "still at it", warning=True))
    values = seen(story, "db", "HelmRelease")
    assert values["workload"] == {"desired": 3, "ready": 1, "updated": 3, "available": 1}
    assert values["dependencies"] == [{"kind": "HelmRelease", "namespace": "apps", "name": "base", "health": "Failed"}]
    assert values["event"] == {"reason": "Slow", "message": "still at it", "type": "Warning"}
    assert values["object"]() == {}


def test_f045_an_expression_that_cannot_be_answered_never_fires_and_is_told_with_the_object():
    cluster = Cluster()
    story = Story(rule("object.spec.nothing.there == 1"))
    for number in range(5):
        story.see(cluster.state("Kustomization", "a", failing(message=f"try {number}")))
    assert story.cases == []
    assert story.world.faults["r"] == 5
    (told,) = WorldView(story.world).readiness().reasons
    assert told.startswith("rule r could not be evaluated 5 times, the last time: Key not found in map")
    assert told.endswith("(Kustomization/apps/a)")


def test_f045_one_object_that_lacks_a_field_does_not_switch_a_rule_off_for_the_others():
    cluster = Cluster()
    story = Story(rule("object.spec.team == 'pay'"))
    for name in "abcd":
        story.see(cluster.state("Kustomization", name, failing(), text='{"spec": {}}'))
    story.see(cluster.state("Kustomization", "pay", failing(), text='{"spec": {"team": "pay"}}'))
    assert story.case.incident.root == ref("Kustomization", "pay")


BOMB = "object.big.exists(a, object.big.exists(b, object.big.exists(c, a + b + c < 0)))"
BIG = f'{{"big": {list(range(200))}}}'


def bombed(times: int) -> Story:
    cluster = Cluster()
    story = Story(f"{rule(BOMB, name='bad')}---{rule(name='good')}---{rule(name='other')}")
    for number in range(times):
        story.see(cluster.state("Kustomization", "a", failing(message=f"try {number}"), text=BIG)).wait(1)
    return story


def test_f043_a_test_that_takes_too_many_steps_is_out_of_force_after_three_times_and_the_others_are_not():
    story = bombed(OVERRUNS_TO_DISABLE + 2)
    assert story.world.faults == {"bad": OVERRUNS_TO_DISABLE}
    assert sorted(test for test, _ in story.world.findings) == ["good", "other"]
    assert [(each["name"], each["in_force"]) for each in WorldView(story.world).rules()] == [
        ("bad", False),
        ("good", True),
        ("other", True),
    ]


def test_f043_why_not_says_that_a_rule_is_out_of_force():
    story = bombed(OVERRUNS_TO_DISABLE)
    told = trace(story.world, known(story), story.world.rules.rules[0])
    assert (told.clauses[0].name, told.clauses[0].held) == ("in force", False)
    assert "takes too many steps" in told.clauses[0].seen
    assert "rule bad is out of force until the next load" in "".join(WorldView(story.world).readiness().reasons)


def test_an_expression_that_says_no_does_not_fire():
    assert Story(rule("ready.reason == 'Other'")).see(Cluster().state("Kustomization", "a", failing())).cases == []


def test_a_disabled_rule_does_not_fire_and_its_trace_says_so():
    story = Story(rule(enabled="false")).see(Cluster().state("Kustomization", "a", failing()))
    assert story.cases == []
    told = trace(story.world, known(story), story.world.rules.rules[0])
    assert [(clause.name, clause.held) for clause in told.clauses][:2] == [("enabled", False), ("kind", True)]


def test_a_trace_stops_where_the_rule_stopped():
    story = Story(rule()).see(Cluster().state("Kustomization", "a", ready()))
    told = trace(story.world, known(story), story.world.rules.rules[0])
    assert (told.clauses[-1].name, told.clauses[-1].held, told.clauses[-1].seen) == ("health", False, "Current")


def test_a_trace_shows_what_the_expression_answered():
    story = Story(rule()).see(Cluster().state("Kustomization", "a", failing()))
    told = trace(story.world, known(story), story.world.rules.rules[0])
    assert (told.clauses[-1].name, told.clauses[-1].seen, told.held) == ("when", "true", True)


def test_a_trace_shows_why_an_expression_could_not_be_answered():
    story = Story(rule("object.spec.nothing == 1")).see(Cluster().state("Kustomization", "a", failing()))
    told = trace(story.world, known(story), story.world.rules.rules[0])
    assert told.error
    assert told.clauses[-1].held is None


def why(story: Story, name: str, kind: str = "Kustomization"):
    return WorldView(story.world).why(ref(kind, name))


def test_why_explains_a_root_a_member_a_waiting_object_and_a_well_one():
    cluster = Cluster()
    story = Story(rule()).see(cluster.state("Kustomization", "a", failing()))
    story.see(cluster.state("Kustomization", "b", waiting("apps/a"), depends_on=needs(ref("Kustomization", "a"))))
    story.see(cluster.state("Kustomization", "well", ready())).wait(1)
    assert "is the root of incident" in why(story, "a")["answer"]
    assert "its root is Kustomization/apps/a" in why(story, "b")["answer"]
    assert why(story, "b")["causes"] == [{"kind": "Kustomization", "namespace": "apps", "name": "a"}]
    assert why(story, "well")["answer"] == "Kustomization/apps/well (Current) is in no incident"
    assert why(story, "a")["findings"][0]["test"] == "r"
    assert why(story, "a")["rules"][0]["held"]


def test_why_says_of_an_object_whose_cause_is_in_no_incident_what_it_waits_for():
    cluster = Cluster()
    story = Story(rule("1 == 2")).see(cluster.state("Kustomization", "a", failing()))
    story.see(cluster.state("Kustomization", "b", waiting("apps/a"), depends_on=needs(ref("Kustomization", "a"))))
    assert "waits for Kustomization/apps/a, which is in no incident (yet)" in why(story, "b")["answer"]


def test_why_about_nothing_says_that_it_is_not_there():
    assert why(Story(), "ghost") == {
        "object": {"kind": "Kustomization", "namespace": "apps", "name": "ghost"},
        "known": False,
        "answer": "Kustomization/apps/ghost does not exist, or is not watched",
    }


def test_an_incident_is_found_by_a_beginning_of_its_id_unless_that_is_nothing():
    story = Story(rule()).see(Cluster().state("Kustomization", "a", failing()))
    view = WorldView(story.world)
    wanted = story.case.incident.id
    assert view.incident(wanted) == story.case.incident
    assert view.incident(IncidentId(wanted[:4])) == story.case.incident
    assert view.incident(IncidentId("")) is None
    assert view.incident(IncidentId("zzzz")) is None


def test_the_newest_incident_is_listed_first():
    cluster = Cluster()
    story = Story(rule()).see(cluster.state("Kustomization", "a", failing())).wait(5)
    story.see(cluster.state("Kustomization", "b", failing()))
    assert [incident.root.name for incident in WorldView(story.world).incidents()] == ["b", "a"]


def test_only_flux_objects_are_listed():
    cluster = Cluster()
    story = Story(rule()).see(cluster.state("Kustomization", "a", ready()), cluster.state("Deployment", "web"))
    story.see(cluster.state("Unheard", "x"))
    assert [state.ref.name for state, _ in WorldView(story.world).objects()] == ["a"]


def test_findings_are_listed_by_object():
    story = Story(rule()).see(Cluster().state("Kustomization", "a", failing()))
    assert [finding.test for finding in WorldView(story.world).findings()] == ["r"]


def test_readiness_names_every_kind_that_is_not_heard():
    story = Story(expected=frozenset({"a", "b", "c"}))
    view = WorldView(story.world)
    story.give(Synced(T0, "a"), Stale(T0, "b", "timeout"))
    state = view.readiness()
    assert not state.ready
    assert state.reasons == ("b: stale: timeout", "c: syncing")
    story.give(Synced(T0, "b"), Stale(T0, "c", "no such kind", absent=True))
    assert view.readiness().ready
    assert view.readiness().kinds["c"] == "absent"


def test_the_view_counts():
    story = Story(rule()).see(Cluster().state("Kustomization", "a", failing()))
    counted = WorldView(story.world).counters()
    assert (counted["objects"], counted["findings"], counted["incidents_now_open"]) == (1.0, 1.0, 1.0)


def test_a_ref_without_a_known_kind_is_not_flux():
    assert WorldView(Story().world).why(ObjectRef("default", "x", "Y", "n", "z"))["known"] is False


CHANGED = """
apiVersion: fluxmedic.dev/v1
kind: Rule
metadata: {name: moved}
spec:
  match: {kind: Kustomization}
  when: old.spec.path != object.spec.path
  severity: warning
  summary: "{{ ref.name }} moved"
"""


def moved(cluster: Cluster, path: str):
    return cluster.state("Kustomization", "a", ready(), text=f'{{"spec": {{"path": "{path}"}}}}')


def test_f045_a_rule_that_compares_is_not_asked_of_what_is_seen_for_the_first_time():
    cluster = Cluster()
    story = Story(CHANGED).see(moved(cluster, "./one"))
    assert story.world.faults == {}
    (told,) = why(story, "a")["rules"]
    assert told["clauses"][-1] == {
        "name": "old",
        "wanted": "a state before this one",
        "seen": "none yet",
        "held": False,
    }
    assert story.see(moved(cluster, "./two")).cases != []


def test_a_rule_over_time_that_compares_begins_with_the_first_change():
    cluster = Cluster()
    story = Story(CHANGED.replace("  severity", "  count: {at_least: 2, within: 10m}\n  severity"))
    story.see(moved(cluster, "./one")).wait(1)
    assert story.world.faults == {}
    story.see(moved(cluster, "./two")).see(moved(cluster, "./two")).see(cluster.state("Kustomization", "a", ready()))
    assert story.world.faults == {"moved": 1}  # an object without a spec cannot be compared: said, and not false
    assert story.cases == []


def test_every_variable_of_the_language_has_a_fact():
    facts = Facts(*_alone())
    assert set(facts) == scope.NAMES
    assert len(facts) == len(scope.NAMES)


def _alone() -> tuple[World, Known, ObjectState]:
    story = Story().see(Cluster().state("Kustomization", "a", ready()))
    return story.world, known(story), known(story).state
