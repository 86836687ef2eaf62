"""Rule files to a RuleSet: every mistake at once with its place, overrides, overlays, references."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.model.errors import ConfigError
from daemon.model.findings import Severity
from daemon.model.objects import Health
from daemon.model.remedies import Mode
from daemon.rules.compile import compile_rules
from daemon.rules.ruleset import (
    Example,
    Expect,
    GivenState,
    RemediationSpec,
    Route,
    RuleSet,
    StepSpec,
    Window,
)

HEAD = "apiVersion: fluxmedic.dev/v1\n"
RULE = """\
apiVersion: fluxmedic.dev/v1
kind: Rule
metadata: {name: release-failed}
spec:
  match: {kind: HelmRelease, namespace: "team-*", name: db, labels: {tier: 1}, health: Failed, reason: [UpgradeFailed]}
  when: ready.status == 'False'
  for: 30s
  keep_firing_for: 1m
  severity: warning
  summary: "{{ ref.name }} failed"
  next_step: "look at {{ ref.name }}"
  runbook: https://example.org/x
  labels: {team: net, area: helm}
  evidence: [culprit]
  remediation:
    mode: propose
    steps:
      - {action: reconcile, target: owner, with: {source: true}}
      - {action: delete-release, with: {kind: HelmRelease, namespace: a, name: b}}
    recovery: back
    limits: {attempts: 2, cooldown: 10m}
    approval: 15m
    resolve_after: 20s
  examples:
    - name: fires
      given: [{reason: UpgradeFailed, stalled: RetriesExceeded, lag: 1, waiting: 2, for: 5s}, {ready: Unknown}]
      after: 40s
      expect: {state: firing, severity: warning}
    - {name: waits, given: {reason: UpgradeFailed}, after: 3s, expect: {state: pending}, object: {name: other}}
---
apiVersion: fluxmedic.dev/v1
kind: Procedure
metadata: {name: back}
spec:
  parameters: {who: db, count: 2}
  schedule: "17 * * * *"
  checks:
    - {id: A, probe: absent, with: {kind: HelmRelease, namespace: a, name: "${who}"},
       by: 15s, for: 5s, text: "${who} gone"}
    - {id: B, probe: workload, with: {kind: DaemonSet, namespace: a, name: x, ready: "${count}"}, optional: true}
"""


def build(*texts: str) -> RuleSet:
    return compile_rules((f"{chr(ord('a') + index)}.yaml", text) for index, text in enumerate(texts))


def wrong(*texts: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        build(*texts)
    return [str(problem) for problem in caught.value.problems]


def edited(old: str, new: str) -> str:
    assert old in RULE
    return RULE.replace(old, new, 1)


def document(kind: str, name: str, spec: str) -> str:
    return f"{HEAD}kind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n"


def test_no_files_make_an_empty_rule_set() -> None:
    assert compile_rules([]) == RuleSet()


def test_a_rule_is_built_whole() -> None:
    rule = build(RULE).rules[0]
    assert (rule.name, rule.severity, rule.hold, rule.keep, rule.enabled) == (
        "release-failed",
        Severity.WARNING,
        30.0,
        60.0,
        True,
    )
    assert rule.match.kinds == {"HelmRelease"}
    assert (rule.match.namespace, rule.match.name, rule.match.labels) == ("team-*", "db", {"tier": "1"})
    assert (rule.match.health, rule.match.reasons) == ({Health.FAILED}, {"UpgradeFailed"})
    assert rule.when is not None
    assert rule.next_step is not None
    assert rule.summary.render({"ref": {"name": "db"}}) == "db failed"
    assert (rule.runbook, rule.labels, rule.evidence) == (
        "https://example.org/x",
        (("area", "helm"), ("team", "net")),
        ("culprit",),
    )
    assert (rule.file, rule.line) == ("a.yaml", 1)


def test_a_remediation_is_built_whole() -> None:
    assert build(RULE).rules[0].remediation == RemediationSpec(
        Mode.PROPOSE,
        (
            StepSpec("reconcile", "owner", params={"source": "true"}),
            StepSpec("delete-release", "self", "HelmRelease", "a", "b"),
        ),
        "back",
        attempts=2,
        cooldown=600.0,
        approval=900.0,
        resolve_after=20.0,
    )


def test_examples_are_built_whole_with_an_object_that_the_match_accepts() -> None:
    first, second = build(RULE).rules[0].examples
    states = (
        GivenState("False", "UpgradeFailed", stalled="RetriesExceeded", lag=1, waiting=2, seconds=5.0),
        GivenState("Unknown"),
    )
    assert first == Example(
        "fires",
        states,
        40.0,
        Expect("firing", Severity.WARNING),
        "HelmRelease",
        "team-example",
        "db",
        {"tier": "1"},
        25,
        "a.yaml",
    )
    assert (second.object_name, second.expect) == ("other", Expect("pending"))


def test_a_procedure_is_built_with_its_defaults_and_can_be_bound_to_others() -> None:
    procedure = build(RULE).procedures["back"]
    gone, ready = procedure.checks
    assert (gone.id, gone.params["name"], gone.within, gone.hold, gone.text) == ("A", "db", 15.0, 5.0, "db gone")
    assert (ready.optional, ready.params["ready"], ready.text) == (True, "2", "workload DaemonSet/a/x ready 2")
    assert (procedure.schedule, procedure.parameters) == ("17 * * * *", {"who": "db", "count": "2"})
    assert procedure.bind({"who": "web"}).checks[0].params["name"] == "web"


def test_routes_keep_the_order_of_the_files() -> None:
    text = document(
        "Route", "z-first", "{min_severity: critical, namespaces: 'kube-*', kinds: HelmRelease, targets: slack}"
    )
    text += "---\n" + document("Route", "a-second", "{targets: [webhook, log], continue: true}")
    assert build(text).routes == (
        Route("z-first", Severity.CRITICAL, "kube-*", frozenset({"HelmRelease"}), targets=("slack",)),
        Route("a-second", targets=("webhook", "log"), continues=True),
    )


def test_a_window_is_read_into_minutes() -> None:
    text = document(
        "Window", "nights", '{days: [mon, fri], from: "22:00", to: "06:30", utc_offset: "-02:30", quiet: true}'
    )
    text += "---\n" + document("Window", "day", '{days: sun, from: "00:00", to: "00:00", freeze: true, namespaces: a}')
    assert build(text).windows == (
        Window("nights", frozenset({0, 4}), 1320, 510, -150, quiet=True),
        Window("day", frozenset({6}), 0, 1440, freeze=True, namespaces="a"),
    )


WEEK = "days: [mon, tue, wed, thu, fri, sat, sun], from: '06:00', to: '06:00'"


@pytest.mark.parametrize("namespaces", ["", ", namespaces: '*'", ", namespaces: '?*'"])
def test_f053_a_window_that_is_quiet_all_week_for_everything_is_refused(namespaces: str) -> None:
    (problem,) = wrong(document("Window", "w", f"{{{WEEK}, quiet: true{namespaces}}}"))
    assert problem.startswith("a.yaml:4:86: spec.quiet: quiet all week long for everything, so nobody would ever be")
    assert problem.endswith("or write a Silence, which has an end")


@pytest.mark.parametrize(
    "spec",
    [
        f"{{{WEEK}, freeze: true}}",
        f"{{{WEEK}, quiet: true, namespaces: 'batch-*'}}",
        f"{{{WEEK.replace('tue, ', '')}, quiet: true}}",
        f"{{{WEEK[:-7]}'05:59', quiet: true}}",
    ],
)
def test_a_window_that_leaves_something_to_be_told_is_taken(spec: str) -> None:
    assert len(build(document("Window", "w", spec)).windows) == 1


def test_a_window_that_does_nothing_is_refused() -> None:
    text = document("Window", "x", '{days: sun, from: "00:00", to: "01:00"}')
    assert wrong(text) == ["a.yaml:4:7: spec: does nothing: say quiet: true, freeze: true or both"]


def test_detectors_are_switched_off_or_made_louder() -> None:
    text = document("Detector", "two-owners", "{enabled: false}")
    text += "---\n" + document("Detector", "stuck-deletion", "{severity: critical}")
    ruleset = build(text)
    assert ruleset.detectors_off == {"two-owners"}
    assert ruleset.detector_severity == {"stuck-deletion": Severity.CRITICAL}


def test_what_a_detector_found_must_last_as_long_as_the_latest_file_says() -> None:
    text = document("Detector", "not-observed", "{for: 5m}")
    ruleset = build(text, document("Detector", "not-observed", "{severity: info}"))
    assert ruleset.detector_hold == {"not-observed": 300.0}


def test_f046_a_wrong_shape_hides_no_mistake_in_the_texts_of_the_same_rule() -> None:
    spec = (
        "{match: {kind: A}, sverity: info, when: helth == 'x', summary: '{{ ref.nam }}', next_step: '{{ x }}', "
        "sequence: [{when: nope}, 3, {when: 4}]}"
    )
    told = [problem.split(": ", 2)[1] for problem in wrong(document("Rule", "x", spec))]
    assert told == [
        "spec.severity",
        "spec.sverity",
        "spec.when",
        "spec.summary",
        "spec.next_step",
        "spec.sequence.0.when",
        "spec.sequence.1",
        "spec.sequence.2.when",
    ]


def test_f046_of_a_document_whose_spec_is_no_mapping_only_that_is_told() -> None:
    assert wrong(document("Rule", "x", "3")) == ["a.yaml:4:7: spec: should be a mapping, with `key: value` below it"]


def test_an_unknown_detector_is_refused() -> None:
    (problem,) = wrong(document("Detector", "two-owner", "{enabled: false}"))
    assert problem.startswith("a.yaml:3:18: metadata.name: unknown detector 'two-owner', there are applied-twice,")


VARIABLES = (
    "dependencies, dependents, event, failing_for, health, object, old, ready, ref, stalled, suspended, workload"
)
HEALTHS = "'Current', 'InProgress', 'Failed', 'Blocked', 'Suspended', 'Terminating', 'NotFound' or 'Unknown'"
SILENCE = "{{match: {match}, starts: '2026-01-01T00:00:00Z', ends: '{ends}', comment: move, by: ann}}"


def test_a_silence_has_a_matcher_an_end_and_a_comment() -> None:
    text = document(
        "Silence", "move", SILENCE.format(match="{kind: HelmRelease, namespace: 'a*'}", ends="2026-01-02T00:00:00Z")
    )
    (silence,) = build(text).silences
    assert (silence.id, silence.by, silence.comment) == ("file:move", "ann", "move")
    assert silence.matcher == (("kind", "HelmRelease"), ("namespace", "a*"))
    assert (silence.starts_at, silence.ends_at) == (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))


@pytest.mark.parametrize(
    "match", ["{namespace: '*'}", "{namespace: '**', name: '?*'}", "{kind: ''}", "{namespace: '[!~]*'}"]
)
def test_f053_a_silence_that_matches_everything_is_refused(match: str) -> None:
    (problem,) = wrong(document("Silence", "s", SILENCE.format(match=match, ends="2026-01-02T00:00:00Z")))
    assert "this silence matches everything" in problem


def test_f053_a_silence_without_a_matcher_is_refused() -> None:
    (problem,) = wrong(document("Silence", "s", SILENCE.format(match="{}", ends="2026-01-02T00:00:00Z")))
    assert "spec.match" in problem


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        ("2026-04-02T00:00:00Z", "longer than 90 days"),
        ("2025-12-31T00:00:00Z", "ends before it starts"),
        ("never", "zone"),
    ],
)
def test_f053_a_silence_that_never_ends_is_refused(ends: str, words: str) -> None:
    (problem,) = wrong(document("Silence", "s", SILENCE.format(match="{kind: A}", ends=ends)))
    assert words in problem


@pytest.mark.parametrize(("key", "value"), [("comment", "move"), ("by", "ann")])
def test_f053_a_silence_whose_reason_or_name_is_blank_is_refused(key: str, value: str) -> None:
    text = document("Silence", "s", SILENCE.format(match="{kind: '*e*'}", ends="2026-01-02T00:00:00Z"))
    (problem,) = wrong(text.replace(f"{key}: {value}", f"{key}: ' '"))
    assert "this is blank" in problem


@pytest.mark.parametrize("missing", ["ends", "comment", "by", "starts"])
def test_f053_a_silence_needs_an_end_a_comment_and_a_name(missing: str) -> None:
    text = document("Silence", "s", SILENCE.format(match="{kind: A}", ends="2026-01-02T00:00:00Z"))
    (problem,) = wrong(text.replace(f"{missing}:", "text:"))[:1]
    assert f"{missing!r} is missing" in problem


def test_f053_a_silence_of_something_that_an_incident_does_not_have_is_refused() -> None:
    (problem,) = wrong(document("Silence", "s", SILENCE.format(match="{pod: a}", ends="2026-01-02T00:00:00Z")))
    assert problem.startswith("a.yaml:4:16: spec.match.pod: a silence can't match 'pod', only kind, name, namespace")


def test_f051_a_later_file_overrides_a_rule_of_the_same_name() -> None:
    ruleset = build(RULE, edited("severity: warning", "severity: critical"))
    assert [(rule.severity, rule.file) for rule in ruleset.rules] == [(Severity.CRITICAL, "b.yaml")]


def test_f051_an_overlay_changes_only_what_it_names() -> None:
    overlay = document("Rule", "release-failed", "{overlay: true, severity: info, for: 0s, labels: {team: db}}")
    before = build(RULE).rules[0]
    after = build(RULE, overlay).rules[0]
    assert (after.severity, after.hold, after.labels) == (Severity.INFO, 0.0, (("area", "helm"), ("team", "db")))
    assert (after.match, after.summary, after.enabled) == (before.match, before.summary, True)


def test_f051_an_overlay_switches_a_rule_off() -> None:
    ruleset = build(RULE, document("Rule", "release-failed", "{overlay: true, enabled: false}"))
    assert ruleset.rules[0].hold == 30.0
    assert ruleset.rules[0].severity is Severity.WARNING
    assert ruleset.for_object("HelmRelease", Health.FAILED) == ()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "nope",
            "no rule 'nope' stands before this overlay: if it is a shipped one, put `shipped` before this file",
        ),
        (
            "release-faild",
            "no rule 'release-faild' stands before this overlay, did you mean 'release-failed'",
        ),
        ("two-owners", "'two-owners' is a detector and has no overlay: write kind: Detector, without overlay"),
    ],
)
def test_an_overlay_of_nothing_is_refused_with_what_to_do(name: str, words: str) -> None:
    (problem,) = wrong(RULE, document("Rule", name, "{overlay: true}"))
    assert problem.startswith(f"b.yaml:3:18: metadata.name: {words}")


def test_an_overlay_that_rewrites_is_refused() -> None:
    assert wrong(RULE, document("Rule", "release-failed", "{overlay: true, summary: x}")) == [
        "b.yaml:4:23: spec.summary: the key 'summary' is not allowed here"
    ]


WELL = "match: {kind: A, health: Failed}, severity: info, summary: x"
THERE = "Rule, Procedure, Route, Silence, Window, Detector"
GIVEN = "examples: [{name: a, given: {raedy: x}, after: 1s, expect: {state: firing}}]"
STEPS = "remediation: {mode: observe, steps: [{action: reconcile, wiht: {}}]}"


@pytest.mark.parametrize(
    ("kind", "spec", "words"),
    [
        ("Rule", f"{{{WELL}, fro: 1m}}", "unknown key 'fro', did you mean 'for'?"),
        ("Rule", f"{{{WELL}, days: 1}}", "the key 'days' is not allowed here"),
        ("Rule", f"{{{WELL.replace('kind: A', 'kind: A, kid: A')}}}", "unknown key 'kid', did you mean 'kind'?"),
        ("Rule", f"{{{WELL.replace('kind: A', 'kind: A, utc_offse: A')}}}", "unknown key 'utc_offse'"),
        ("Rule", f"{{{WELL}, {GIVEN}}}", "unknown key 'raedy', did you mean 'ready'?"),
        ("Rule", f"{{{WELL}, {STEPS}}}", "unknown key 'wiht', did you mean 'with'?"),
        (
            "Window",
            "{days: mon, fro: '22:00', from: '22:00', to: '23:00', quiet: true}",
            "unknown key 'fro', did you mean 'from'?",
        ),
    ],
)  # fmt: skip
def test_only_a_key_that_may_stand_there_is_proposed(kind: str, spec: str, words: str) -> None:
    (problem,) = wrong(document(kind, "x", spec))
    assert problem.endswith(words)


def test_what_refers_to_a_refused_document_is_not_told_as_well() -> None:
    overlay = document("Rule", "release-failed", "{overlay: true, severity: info}")
    for text in (edited("severity: warning", "severity: loud"), edited("{{ ref.name }} failed", "{{ nope }}")):
        (problem,) = wrong(text, overlay)
        assert problem.startswith("a.yaml:")
    assert len(wrong("apiVersion: fluxmedic.dev/v1\nkind: Rule\nmetadata: x\nspec: {}\n")) > 1


def test_one_file_may_not_name_the_same_thing_twice() -> None:
    assert wrong(RULE + "---\n" + RULE.split("---", maxsplit=1)[0]) == [
        "a.yaml:44:18: metadata.name: Rule 'release-failed' is in this file twice, first at line 1"
    ]


def test_f046_every_problem_of_every_file_is_told_at_once_with_its_place() -> None:
    first = edited("ready.status == 'False'", "ready.state == 1 && nope").replace(
        "{{ ref.name }} failed", "{{ ref.nam }}"
    )
    second = (
        document("Rule", "x", "{match: {kind: A, health: Bad}, sverity: info, summary: ''}")
        + "---\n[1]\n---\nkind: Rul\n"
    )
    assert wrong(first, second, "a: 1\na: 2\n", "\tx") == [
        "a.yaml:6:15: spec.when: ready has no field 'state', only status, reason, message",
        "a.yaml:6:21: spec.when: == can't compare a text and a number",
        f"a.yaml:6:29: spec.when: nothing is called nope: there are {VARIABLES}",
        "a.yaml:10:20: spec.summary: ref has no field 'nam', only kind, namespace, name",
        "b.yaml:4:7: spec.severity: 'severity' is missing",
        f"b.yaml:4:33: spec.match.health: should be {HEALTHS}",
        "b.yaml:4:39: spec.sverity: unknown key 'sverity', did you mean 'severity'?",
        "b.yaml:4:63: spec.summary: must not be empty",
        "b.yaml:6:1: a document must be a mapping with apiVersion, kind, metadata and spec",
        f"b.yaml:8:7: kind: unknown kind 'Rul', there are {THERE}, did you mean 'Rule'?",
        "c.yaml:2:1: the key 'a' is given twice, first at 1:1",
        f"c.yaml:1:1: kind: no kind, there are {THERE}",
        "d.yaml:1:1: a tab can't indent YAML: use spaces",
    ]


def test_f046_a_type_error_in_a_folded_expression_is_found_on_its_own_line() -> None:
    text = edited("when: ready.status == 'False'", "when: >-\n    ready.status == 'False'\n    && health == 3")
    (problem,) = wrong(text)
    assert problem.startswith("a.yaml:8:15: spec.when: == can't compare a text and a number")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("for: 30s", "for: 30", "a.yaml:7:8: spec.for: a duration needs a unit, such as 30s, 5m or 1h30m"),
        ("recovery: back", "recovery: bakc", "unknown procedure 'bakc', did you mean 'back'?"),
        ("recovery: back", "recovery: zzz", "a.yaml:20:15: spec.remediation.recovery: unknown procedure 'zzz'"),
        (
            "action: reconcile",
            "action: rekoncile",
            "a.yaml:18:18: spec.remediation.steps.0.action: unknown action 'rekoncile', there are delete-release",
        ),
        (
            "source: true",
            "sauce: true",
            "a.yaml:18:51: spec.remediation.steps.0.with.sauce: reconcile has no parameter 'sauce', it has source",
        ),
        (
            "with: {kind: HelmRelease, namespace: a, name: b}",
            "with: {force: true}",
            "a.yaml:19:41: spec.remediation.steps.1.with.force: delete-release has no parameter 'force', it has none",
        ),
        (
            "with: {kind: HelmRelease, namespace: a, name: b}",
            "with: {kind: HelmRelease}",
            "a.yaml:19:40: spec.remediation.steps.1.with: another object needs both kind and name",
        ),
        (
            "object: {name: other}",
            "object: {kind: Bucket}",
            "a.yaml:29:105: spec.examples.1.object.kind: the rule is not about Bucket",
        ),
        ("probe: absent", "probe: absant", "spec.checks.0.probe: unknown probe 'absant'"),
        ("probe: absent", "probe: absant", "condition, dependents, exists, release, workload, did you mean 'absent'?"),
        ('ready: "${count}"', "redy: 1", "kind, name, namespace, ready, did you mean 'ready'?"),
        ('"${count}"', '"${cuont}"', "unknown parameter 'cuont', there are count, who, did you mean 'count'?"),
        ('namespace: a, name: "${who}"', "namespace: a", "spec.checks.0: the probe absent needs 'name'"),
        ('ready: "${count}"', "redy: 1", "with.redy: the probe workload has no parameter 'redy', it has kind"),
        ("${who} gone", "${whom} gone", "spec.checks.0.text: unknown parameter 'whom', there are count, who"),
        ("${who} gone", "$ gone", "spec.checks.0.text: a $ must be followed by {parameter}"),
        ('"${count}"', '"${nope}"', "spec.checks.1.with.ready: unknown parameter 'nope', there are count, who"),
        ("17 * * * *", "17 * * *", "spec.schedule: a schedule has five fields"),
        ("17 * * * *", "*/0 * * * *", "a.yaml:36:13: spec.schedule: minute */0 has a step of nothing"),
        ('"17 * * * *"', "17", "a.yaml:36:13: spec.schedule: should be a text: put it in quotes"),
        ("name: release-failed", "name: Release_Failed", "metadata.name: a name has lower-case letters, digits"),
        ("fluxmedic.dev/v1", "fluxmedic.dev/v2", "a.yaml:1:13: apiVersion: should be 'fluxmedic.dev/v1'"),
        ("severity: warning", "severity: loud", "spec.severity: should be 'info', 'warning' or 'critical'"),
        ("keep_firing_for: 1m", "keep_fireing_for: 1m", "did you mean 'keep_firing_for'?"),
        ("keep_firing_for: 1m", "zzzzzz: 1m", "a.yaml:8:3: spec.zzzzzz: unknown key 'zzzzzz'"),
        ("name: db,", "name: 7,", "spec.match.name: should be a text: put it in quotes"),
        ("attempts: 2", "attempts: 0", "spec.remediation.limits.attempts: should be 1 or more"),
    ],
)  # fmt: skip
def test_f046_a_mistake_is_refused_with_its_place(old: str, new: str, problem: str) -> None:
    found = wrong(edited(old, new))
    assert len(found) == 1
    assert problem in found[0]
    assert found[0].startswith("a.yaml:")


def test_evidence_that_does_not_exist_is_refused_with_what_there_is() -> None:
    spec = "{match: {kind: HelmRelease, health: Failed}, severity: info, summary: x, evidence: [culprit, guess]}"
    (problem,) = wrong(document("Rule", "x", spec))
    assert problem.startswith("a.yaml:4:")
    assert "spec.evidence.1: unknown evidence 'guess', there are: culprit" in problem


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            "count: {at_least: 2, within: 1m}, absent_for: 1m, when: suspended",
            "count and absent_for can't be asked together",
        ),
        ("when: suspended, sequence: [{when: suspended}, {when: suspended, within: 1m}]", "and none beside it"),
        ("sequence: [{when: suspended}]", "a sequence has two steps or more"),
        ("sequence: [{when: suspended, within: 1m}, {when: suspended, within: 1m}]", "is the first, so it has no"),
        ("sequence: [{when: suspended}, {when: suspended}]", "says how long after the one before it"),
        ("sequence: [{when: suspended}, {when: suspendd, within: 1m}]", "suspendd"),
        ("count: {at_least: 2, within: 0s}, when: suspended", "spec.count.within: no time at all is too short"),
        ("absent_for: 0m, when: suspended", "spec.absent_for: no time at all is too short"),
        ("when: suspended, inhibited_by: [{rule: nobody}]", "no other rule or detector is called 'nobody'"),
        ("when: suspended, inhibited_by: [{rule: x}]", "no other rule or detector is called 'x'"),
        ("when: suspended, inhibited_by: [{rule: two-owner}]", "did you mean 'two-owners'?"),
    ],
)
def test_a_pattern_that_makes_no_sense_is_refused(more: str, said: str) -> None:
    problems = wrong(document("Rule", "x", f"{{match: {{kind: HelmRelease}}, severity: info, summary: x, {more}}}"))
    assert len(problems) == 1
    assert said in problems[0]


def test_an_overlay_changes_the_route_and_how_long_a_rule_is_kept() -> None:
    text = document("Rule", "x", "{match: {kind: HelmRelease, health: Failed}, severity: info, summary: x}")
    later = document("Rule", "x", "{overlay: true, route: pager, keep_firing_for: 5m}")
    (rule,) = compile_rules([("a.yaml", text), ("b.yaml", later)]).rules
    assert (rule.route, rule.keep) == (("pager",), 300.0)


def test_a_rule_that_asks_nothing_is_refused() -> None:
    (problem,) = wrong(document("Rule", "x", "{match: {kind: HelmRelease}, severity: info, summary: x}"))
    assert problem == (
        "a.yaml:4:15: spec.match: asks nothing of the object: give match.health, match.reason, when or sequence"
    )


def test_f047_bad_yaml_in_one_file_keeps_nothing_of_the_others_from_being_checked() -> None:
    found = wrong("a: &x [*x]\n", edited("severity: warning", "severity: loud"))
    assert [problem[:6] for problem in found] == ["a.yaml", "b.yaml"]


def test_the_same_files_make_the_same_set() -> None:
    assert build(RULE) == build(RULE)


@given(st.integers(0, len(RULE) - 1), st.characters(exclude_categories=["Cs"]))
@settings(max_examples=100, deadline=None)
def test_f047_one_changed_character_is_compiled_or_refused_and_never_crashes(index: int, letter: str) -> None:
    text = RULE[:index] + letter + RULE[index + 1 :]
    try:
        problems = build(text).problems
    except ConfigError as error:
        problems = error.problems
    assert {problem.file for problem in problems} <= {"a.yaml"}
