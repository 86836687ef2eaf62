"""Rules that load but can't do what their author hoped."""

import pytest

from daemon.rules.catalogue import DETECTORS
from daemon.rules.compile import compile_rules

EXAMPLES = """
  examples:
    - {name: a, given: {reason: X}, after: 1s, expect: {state: firing}}
    - {name: b, given: {reason: X}, after: 1s, expect: {state: none}}
"""


def warnings(match: str, more: str = "", examples: str = EXAMPLES) -> list[str]:
    text = (
        "apiVersion: fluxmedic.dev/v1\nkind: Rule\nmetadata: {name: r}\nspec:\n"
        f"  match: {match}\n  severity: info\n  summary: x\n{more}{examples}"
    )
    return [str(problem) for problem in compile_rules([("r.yaml", text)]).problems]


def route(name: str, spec: str) -> str:
    return f"---\napiVersion: fluxmedic.dev/v1\nkind: Route\nmetadata: {{name: {name}}}\nspec: {spec}\n"


def test_a_good_rule_has_no_warning() -> None:
    assert warnings("{kind: [HelmRelease, Bucket], health: Failed, reason: UpgradeFailed}") == []


@pytest.mark.parametrize(
    ("match", "words"),
    [
        (
            "{kind: HelmReleases, health: Failed}",
            "never fires for HelmReleases: it is not watched, did you mean HelmRelease?",
        ),
        ("{kind: Zzz, health: Failed}", "never fires for Zzz: it is not watched"),
        (
            "{kind: [Alert, Provider], health: Failed}",
            "Alert and Provider have no conditions, so they never are Failed",
        ),
        ("{kind: Bucket, health: Current, reason: Failed}", "a reason is asked of objects that are not well"),
        ("{kind: Bucket, health: Failed, name: Cilium}", "names in Kubernetes are lower-case, 'Cilium' is not"),
        (
            "{kind: Node, namespace: default, health: Failed}",
            "for Node: it stands in no namespace, leave match.namespace",
        ),
        ("{kind: [Node, Bucket], namespace: 'a*', health: Failed}", "never fires for Node: it stands in no namespace"),
        ("{kind: Event, health: Current}", "never fires for Event: write the rule for what events are about"),
        ("{kind: Bucket, health: NotFound}", "what is not there is not looked at, so no object is NotFound by itself"),
        ("{kind: Bucket, health: [Unknown, NotFound]}", "no object is NotFound or Unknown by itself"),
        ("{kind: Node, health: Suspended}", "Node never are Suspended, only Current or Failed or Terminating"),
        (
            "{kind: [DaemonSet, StatefulSet], health: [Failed, Blocked]}",
            "DaemonSet and StatefulSet never are Blocked or",
        ),
        (
            "{kind: Deployment, reason: ProgressDeadlineExceeded}",
            "match.reason reads Ready and Stalled, which Deployment have not: ask for a health, or read object.status",
        ),
        (
            "{kind: Bucket, health: Failed, name: a_b}",
            "a name in Kubernetes has only letters, digits and dashes and dots",
        ),
        ("{kind: Bucket, health: Failed, name: 'my app'}", "'my app' has ' '"),
        ("{kind: Bucket, health: Failed, name: 'a['}", "'a[' has '['"),
        (
            "{kind: Bucket, health: Failed, namespace: a.b}",
            "a namespace in Kubernetes has only letters, digits and dashes,",
        ),
        ("{kind: Bucket, health: Failed, name: '.*'}", "begins and ends with a letter or a digit, '.*' does not"),
        ("{kind: Bucket, health: Failed, namespace: '*-'}", "begins and ends with a letter or a digit, '*-' does not"),
        (
            f"{{kind: Bucket, health: Failed, namespace: '*{'a' * 64}'}}",
            "a namespace in Kubernetes has at most 63 char",
        ),
        ("{kind: Bucket, health: Failed, namespace: Kube-*}", "names in Kubernetes are lower-case, 'Kube-*' is not"),
    ],
)
def test_a_rule_that_can_never_fire_is_told_with_its_place(match: str, words: str) -> None:
    (warning,) = warnings(match)
    assert warning.startswith("r.yaml:1:1: r: never fires")
    assert words in warning


def test_f045_an_expression_that_fails_on_an_absent_field_is_told_to_use_has() -> None:
    (warning,) = warnings("{kind: Bucket}", "  when: object.spec.path == './'\n")
    assert 'the expression fails where a field is absent (Key not found in map : "path"): use has()' in warning
    assert warnings("{kind: Bucket}", "  when: object.?spec.?path.orValue('') == './'\n") == []


@pytest.mark.parametrize(
    ("kind", "when"),
    [
        (
            "Kustomization",
            "object.metadata.name == 'x' && object.metadata.namespace != '' && object.metadata.uid != ''",
        ),
        ("Kustomization", "object.metadata.generation != old.metadata.generation && object.apiVersion != ''"),
        ("Kustomization", "object.spec.sourceRef.name != old.spec.sourceRef.name || object.spec.prune"),
        ("[HelmRelease, GitRepository]", "object.spec.interval != old.spec.interval"),
        ("HelmRelease", "object.spec.chart.spec.version != object.spec.chartRef.name"),
        ("[GitRepository, HelmRepository, OCIRepository]", "object.spec.url.startsWith('http')"),
        ("Node", "object.metadata.name == 'x'"),
        ("DaemonSet", "object.metadata.generation > 1"),
        ("Kustomization", "ready.reason == 'BuildFailed' && object.spec.path == './'"),
    ],
)
def test_f045_what_every_object_has_is_read_without_a_warning(kind: str, when: str) -> None:
    assert warnings(f"{{kind: {kind}}}", f'  when: "{when}"\n') == []


@pytest.mark.parametrize(
    ("kind", "when", "field"),
    [
        ("Kustomization", "old.spec.path != object.spec.path", "path"),
        ("[GitRepository, Bucket]", "object.spec.url != ''", "url"),
        ("Node", "object.metadata.namespace == ''", "namespace"),
        ("ConfigMap", "object.metadata.labels.team == ''", "labels"),
    ],
)
def test_f045_what_some_objects_lack_is_told(kind: str, when: str, field: str) -> None:
    assert f'Key not found in map : "{field}"' in warnings(f"{{kind: {kind}}}", f'  when: "{when}"\n')[-1]
    steps = f'  sequence: [{{when: suspended}}, {{when: "{when}", within: 5m}}]\n'
    assert f'"{field}"' in warnings(f"{{kind: {kind}}}", steps)[-1]


def test_an_expression_that_is_always_the_same_is_told() -> None:
    (warning,) = warnings("{kind: Bucket, health: Failed}", "  when: '1 == 2'\n")
    assert "reads nothing of the object" in warning


FAILED = "{kind: Bucket, health: Failed}"


@pytest.mark.parametrize(
    ("match", "when", "words"),
    [
        ("{kind: Bucket}", "health == 'Current' && health == 'Failed'", "nothing makes this true: health =="),
        ("{kind: Bucket}", "false && object.spec.x == 1", "nothing makes this true: false &&"),
        ("{kind: Bucket}", "suspended && !suspended", "nothing makes this true: suspended"),
        ("{kind: Bucket}", "ready.reason == 'a' && ready.reason == 'b'", "nothing makes this true"),
        ("{kind: Bucket}", "ready.message.contains('a') && !ready.message.contains('a')", "nothing makes this true"),
        ("{kind: Bucket}", "failing_for > duration('5m') && failing_for < duration('3m')", "nothing makes this true"),
        (
            "{kind: Bucket}",
            "dependents.exists(d, d.health == 'Failed') && dependents.all(d, d.health == 'Current')",
            "nothing makes this true",
        ),
        ("{kind: Bucket}", "size(dependents) < 0", "nothing makes this true: size(dependents) < 0"),
        ("{kind: Bucket}", "dependents.size() == 3 && 4 <= size( dependents )", "nothing makes this true"),
        ("{kind: HelmRelease}", "0 > workload.ready", "nothing makes this true"),
        ("{kind: Bucket}", "ref.name < ref.name", "nothing makes this true: ref.name < ref.name"),
        ("{kind: GitRepository}", "!(object.spec.url == object.spec.url)", "nothing makes this true"),
        ("{kind: GitRepository}", "object.spec.url == 'a' && object.spec.url == 'b'", "nothing makes this true"),
        ("{kind: Bucket, health: Current}", "failing_for > duration('1h')", "with health Current nothing"),
        (
            "{kind: Bucket, health: [InProgress, Suspended]}",
            "duration('1h') < failing_for",
            "with health InProgress or",
        ),
        ("{kind: GitRepository}", "workload.desired > 0", "with kind GitRepository, which has no workload, nothing"),
        ("{kind: [Bucket, Node]}", "workload.ready != 0", "with Bucket and Node, which have no workload, nothing"),
        ("{kind: Bucket}", "dependencies.exists(d, d.health == 'Failed')", "kind Bucket, which has no dependencies, n"),
        ("{kind: Deployment}", "size(dependencies) > 0", "with kind Deployment, which has no dependencies, nothing"),
        (
            "{kind: Node}",
            "health == 'Suspended'",
            "kind Node, whose health is Current or Failed or Terminating nothing",
        ),
        ("{kind: Node}", "ref.namespace == 'a'", "with namespace empty nothing makes the expression true"),
        ("{kind: Deployment}", "ready.reason == 'A'", "with ready.reason empty nothing makes the expression true"),
        (
            "{kind: Bucket, health: Current}",
            "health == 'Failed' && dependencies.exists(d, true)",
            "with what match asks for nothing makes the expression true",
        ),
        (FAILED, "health == 'Current'", "with health Failed nothing makes the expression true"),
        ("{kind: Bucket}", "(ready.status == 'True') && (event.type == 'Normal' && ready.status != 'True')", "nothing"),
    ],
)
def test_an_expression_that_nothing_makes_true_is_told(match: str, when: str, words: str) -> None:
    (warning,) = warnings(match, f'  when: "{when}"\n')
    assert warning.startswith("r.yaml:1:1: r: never fires")
    assert words in warning


@pytest.mark.parametrize(
    "when",
    [
        "ready.message.contains('a') && ready.message.contains('b') && !ready.message.contains('ab')",
        "ready.message.startsWith('a') && ready.message.endsWith('b') && ready.message.contains('c')",
        "dependents.exists(d, d.health == 'Failed') && dependents.exists(d, d.health == 'Current')",
        "ready.message.matches('^x') && ready.message == 'y'",
        "size(dependents) == 3 && workload.desired < 1",
        "workload.ready != workload.desired && 0 <= size(dependents)",
        "double(ready.message) != double(ready.message) || ready.status <= ready.status",
        "object.metadata.generation == 3 && object.spec.interval == '10m' && object.spec.x == '3'",
        "health == 'Failed' || health == 'Current' && health == 'Failed'",
        "health == 'Failed' ? suspended : !suspended",
        "object.?spec.?x.orValue(1) == 1 && has(ready.reason)",
        "ready.reason in ['a', 'b', 'c', 'd', 'e'] && ready.message == 'a' && ref.name == 'b' && ref.kind == 'Bucket'",
        "ready.reason > 'z' && suspended",
        "dependents.exists(d, d.name == 'x') && dependents.all(d, d.name == 'x')",
    ],
)
def test_an_expression_that_may_be_true_or_is_beyond_judging_is_left_alone(when: str) -> None:
    assert warnings("{kind: Bucket}", f'  when: "{when}"\n') == []


@pytest.mark.parametrize(("most", "told"), [("1m", True), ("119s", True), ("2m", True), ("3m", False)])
def test_a_rule_that_waits_longer_than_its_expression_lasts_is_told(most: str, told: bool) -> None:
    found = warnings(FAILED, f"  when: failing_for < duration('{most}')\n  for: 2m\n")
    assert bool(found) == told
    if told:
        assert "with health Failed and for 120 s nothing makes the expression true" in found[0]


def test_what_is_waited_for_in_vain_makes_a_rule_fire_and_is_left_alone() -> None:
    assert warnings("{kind: Bucket}", "  when: suspended && !suspended\n  absent_for: 1h\n") == []


def test_an_object_that_only_waits_has_failed_for_no_time() -> None:
    waits = "{kind: Bucket, health: [Failed, Blocked]}"
    assert warnings(waits, "  when: failing_for < duration('1m')\n  for: 2m\n") == []


def test_what_the_match_fixes_is_told_with_the_expression_that_denies_it() -> None:
    match = "{kind: HelmRelease, namespace: a, name: 'b*', health: Suspended}"
    (kind,) = warnings(match, "  when: ref.kind == 'Kustomization' && suspended\n")
    assert "with kind HelmRelease nothing makes the expression true" in kind
    (namespace,) = warnings(match, "  when: ref.namespace in ['b', 'c']\n")
    assert "with namespace a nothing" in namespace
    (suspended,) = warnings(match, "  when: '!suspended'\n")
    assert "with health Suspended nothing" in suspended
    assert warnings(match, "  when: ref.name == 'c' || ref.name == 'b'\n") == []


def test_a_step_of_a_sequence_that_nothing_makes_true_is_told() -> None:
    steps = "  sequence: [{when: suspended && !suspended}, {when: suspended, within: 5m}]\n"
    (warning,) = warnings("{kind: Bucket}", steps)
    assert "nothing makes this true: suspended && !suspended" in warning


@pytest.mark.parametrize(
    ("match", "words"),
    [
        (
            "{kind: Kustomization, reason: [BuildFailed, UpgradeFailed]}",
            "never fires for UpgradeFailed: that is a reason of HelmRelease alone",
        ),
        (
            "{kind: [GitRepository, Bucket], reason: BuildFaild}",
            None,
        ),
        (
            "{kind: [Kustomization, Bucket], reason: BuildFaild}",
            "never fires for BuildFaild: Flux does not say so, did you mean BuildFailed?",
        ),
        ("{kind: [Kustomization, Receiver], reason: UpgradeFailed}", None),
        ("{kind: [Kustomization, HelmRelease], reason: UpgradeFailed}", None),
    ],
)
def test_a_reason_that_no_kind_of_the_rule_gives_is_told(match: str, words: str | None) -> None:
    assert warnings(match) == ([f"r.yaml:1:1: r: {words}"] if words else [])


@pytest.mark.parametrize(
    ("match", "words"),
    [
        ("{kind: HelmRelease, reason: UpgradeSucceeded}", "never fires for UpgradeSucceeded: match.reason is asked of"),
        ("{kind: [HelmRelease, FluxInstance], reason: [ReconciliationSucceeded, X]}", "that is good news"),
        ("{kind: HelmRelease, health: Failed, reason: DependencyNotReady}", "an object waits or is at work"),
        ("{kind: Kustomization, health: Failed, reason: [Progressing, DependencyNotReady]}", "it never is Failed"),
        ("{kind: Alert, reason: Failed}", "Alert have no conditions, so they never give a reason"),
        ("{kind: [Alert, Provider], health: [Failed, Blocked]}", "so they never are Blocked or Failed"),
    ],
)
def test_a_match_that_contradicts_itself_is_told(match: str, words: str) -> None:
    (warning,) = warnings(match)
    assert "never fires" in warning
    assert words in warning


@pytest.mark.parametrize(
    "match",
    [
        "{kind: HelmRelease, reason: [RollbackSucceeded, UninstallSucceeded]}",
        "{kind: HelmRelease, health: Failed, reason: [DependencyNotReady, UpgradeFailed]}",
        "{kind: HelmRelease, health: [Failed, Blocked], reason: DependencyNotReady}",
        "{kind: FluxInstance, health: Failed, reason: Progressing}",
        "{kind: [Alert, Bucket], health: Failed, reason: Failed}",
        "{kind: Alert, health: [Failed, Current]}",
        "{kind: Node, health: [Suspended, Failed], namespace: '*'}",
        "{kind: [Node, Bucket], health: [Suspended, NotFound]}",
        "{kind: [Deployment, Bucket], reason: Failed}",
        "{kind: CustomResourceDefinition, name: '*.acme.io', health: Terminating}",
        "{kind: Bucket, health: Failed, name: 'a[!0-9A-Z_]?.x*', namespace: '[a-z]*-[0-9]'}",
    ],
)
def test_a_match_that_may_hold_is_left_alone(match: str) -> None:
    assert warnings(match) == []


@pytest.mark.parametrize(
    ("kind", "when", "words"),
    [
        ("HelmRelease", "ready.reason == 'UpgradeFaild'", "ready.reason is never UpgradeFaild: Flux does not say so"),
        ("HelmRelease", "ready.reason in ['BuildFailed']", "ready.reason is never BuildFailed: that is a reason of"),
        ("HelmRelease", "!(ready.reason in ['UpgradeFaild', ''])", None),
        ("HelmRelease", "ready.reason == '' || ready.reason == 'OurOwnReason'", None),
        ("FluxInstance", "ready.reason == 'UpgradeFaild'", None),
        ("HelmRelease", "stalled.reason in ['RetriesExceded', '']", "stalled.reason is never RetriesExceded: Flux do"),
        ("Kustomization", "event.reason == 'HealthCheckFaild'", "event.reason is never HealthCheckFaild: Flux do"),
        ("HelmRelease", "event.reason in ['DriftCorected']", "event.reason is never DriftCorected: Flux do"),
        ("GitRepository", "event.reason in ['NewArtifact', 'NoArtifact', 'Artifact', 'UpgradeFailed']", None),
        ("FluxInstance", "event.reason == 'HealthCheckFaild'", None),
        ("Bucket", "object.metadata.generation == '3'", "generation is a number and never the text '3': leave"),
        ("[Kustomization]", "old.spec.prune != 'true'", "old.spec.prune is true or false and never the text 'true': l"),
        ("Kustomization", "object.spec.sourceRef in ['a']", "object.spec.sourceRef is a map and never the text 'a'"),
        ("Alert", "object.spec.eventSources == 'a'", "object.spec.eventSources is a list and never the text 'a'"),
        ("[Node, Bucket]", "object.metadata.name == '3'", None),
        ("HelmRelease", "dependents.exists(d, d.kind == 'Kustomisation')", "no kind is called 'Kustomisation', did"),
        ("HelmRelease", "dependents.exists(d, d.kind in ['HelmRelease', 'Widget'])", None),
        ("Alert", "ready.status == 'False'", "with ready.status empty nothing makes"),
    ],
)  # fmt: skip
def test_what_flux_never_says_is_told_of_expressions_too(kind: str, when: str, words: str | None) -> None:
    found = warnings(f"{{kind: {kind}}}", f'  when: "{when}"\n')
    assert len(found) == bool(words)
    assert (words or "") in "".join(found)


def test_how_long_something_is_absent_is_asked_of_any_health() -> None:
    assert warnings("{kind: Bucket, health: Current, reason: Failed}", "  absent_for: 1h\n") == []


def test_a_target_that_nobody_is_is_told_of_rules_and_routes() -> None:
    (warning,) = warnings(FAILED, "  route: [slack, slak]\n")
    assert warning == "r.yaml:1:1: r: its route: no target is called 'slak', there are log, slack, webhook"
    text = route("team", "{kinds: Bucket, targets: pager}")
    (told,) = (str(problem) for problem in compile_rules([("r.yaml", text)]).problems)
    assert told == "team: no target is called 'pager', there are log, slack, webhook"


def test_a_rule_without_examples_of_both_kinds_is_told() -> None:
    told = warnings("{kind: Bucket, health: Failed}", examples="")
    assert [text.split(": ")[-1] for text in told] == [
        "no example shows it firing",
        "no example shows where it must stay quiet",
    ]


def test_a_rule_that_is_switched_off_is_left_alone() -> None:
    assert warnings("{kind: Zzz, health: Failed}", "  enabled: false\n", "") == []


def test_a_route_behind_one_that_takes_everything_is_told() -> None:
    text = route("all", "{targets: slack}") + route("late", "{targets: log}") + route("later", "{targets: log}")
    told = [str(problem) for problem in compile_rules([("r.yaml", text)]).problems]
    assert told == [
        "late: never asked: 'all' stands before it and takes everything",
        "later: never asked: 'all' stands before it and takes everything",
    ]


@pytest.mark.parametrize(
    "first",
    [
        "{targets: slack, continue: true}",
        "{targets: slack, kinds: Bucket}",
        "{targets: slack, min_severity: warning}",
        "{targets: slack, namespaces: x}",
    ],
)
def test_a_route_behind_one_that_lets_something_pass_is_not(first: str) -> None:
    assert compile_rules([("r.yaml", route("first", first) + route("late", "{targets: log}"))]).problems == ()


def test_detectors_are_named_in_kebab_case() -> None:
    assert all(name == name.lower() and " " not in name for name in DETECTORS)


@pytest.mark.parametrize(
    ("when", "words"),
    [
        ("health == 'failed'", "health is never 'failed', did you mean 'Failed'?"),
        ("ready.status != 'true'", "ready.status is never 'true', did you mean 'True'?"),
        ('event.type == "Error"', "event.type is never 'Error'"),
        ("stalled.status == 'yes'", "stalled.status is never 'yes'"),
        ("dependents.exists(d, d.health in ['failed'])", "an entry's health is never 'failed', did you mean 'Failed'?"),
    ],
)
def test_a_word_that_a_variable_never_holds_is_told(when: str, words: str) -> None:
    (warning,) = warnings("{kind: Bucket}", f"  when: {when}\n")
    assert words in warning


def test_the_words_that_a_variable_holds_are_good_and_so_is_a_field_of_the_same_name() -> None:
    when = "health == 'Failed' && ready.status == '' && event.type != 'Normal' || object.?health.orValue('') == 'odd'"
    assert warnings("{kind: Bucket}", f'  when: "{when}"\n') == []


SILENCE = "{{match: {}, starts: '2026-01-01T00:00:00Z', ends: '2026-01-02T00:00:00Z', comment: move, by: ann}}"


def told(kind: str, name: str, spec: str, before: str = "") -> list[str]:
    text = route(name, spec).replace("kind: Route", f"kind: {kind}")
    return [str(problem) for problem in compile_rules([("a.yaml", before), ("r.yaml", text)]).problems]


@pytest.mark.parametrize(
    ("match", "words"),
    [
        ("{kind: HelmReleas}", ["no kind is called 'HelmReleas', did you mean 'HelmRelease'?"]),
        ("{kind: 'Zzz*'}", ["no kind is called 'Zzz*'"]),
        ("{rule: two-owner}", ["no rule or detector is called 'two-owner', did you mean 'two-owners'?"]),
        ("{rule: 'two-*', kind: '*Release', name: a}", []),
        ("{rule: '', name: a}", []),
    ],
)  # fmt: skip
def test_a_silence_of_what_does_not_exist_is_told(match: str, words: list[str]) -> None:
    assert [text.removeprefix("s: mutes nothing: ") for text in told("Silence", "s", SILENCE.format(match))] == words


@pytest.mark.parametrize(
    "match",
    [
        "{name: '[a-z]*'}",
        "{name: '??*', namespace: '*'}",
        "{rule: '*-*'}",
        "{kind: '?*', rule: '*-*', name: '[!0-9]*'}",
        "{namespace: '*[a-z]*'}",
    ],
)
def test_f053_a_silence_of_nearly_everything_in_disguise_is_told(match: str) -> None:
    (text,) = told("Silence", "s", SILENCE.format(match))
    assert text.startswith("s: mutes nearly everything: hardly anything does not fit ")
    assert text.endswith("; name a kind, namespace or name")


@pytest.mark.parametrize(
    "match",
    [
        "{kind: HelmRelease, name: '[a-z]*'}",
        "{kind: '*Repository', rule: '*'}",
        "{namespace: '*-system'}",
        "{namespace: 'a*', rule: '*-*'}",
        "{rule: 'source-*'}",
        "{name: '[a-y]*'}",
    ],
)
def test_a_silence_that_names_something_is_not_told(match: str) -> None:
    assert told("Silence", "s", SILENCE.format(match)) == []


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (
            "{kinds: [Kustomisation, Bucket]}",
            ["takes nothing for its kind 'Kustomisation': no kind is called so, did you mean 'Kustomization'?"],
        ),
        ("{kinds: Zzz}", ["takes nothing for its kind 'Zzz': no kind is called so"]),
        (
            "{rules: [two-owner]}",
            ["takes nothing for its rules 'two-owner': no rule or detector is called so, did you mean 'two-owners'?"],
        ),
        ("{rules: ['hlm-*', 'two-*']}", ["takes nothing for its rules 'hlm-*': no rule or detector is called so"]),
        ("{rules: '*'}", []),
    ],
)
def test_a_route_of_what_does_not_exist_is_told(spec: str, words: list[str]) -> None:
    found = told("Route", "s", spec.replace("}", ", targets: slack}"))
    assert [text.removeprefix("s: ") for text in found] == words


def test_two_checks_of_one_id_are_told() -> None:
    checks = "[{id: A, probe: dependents}, {id: B, probe: dependents}, {id: A, probe: dependents}]"
    assert told("Procedure", "p", f"{{checks: {checks}}}") == [
        "r.yaml:2:1: p: 2 of its checks have the id 'A': nobody can tell which of them failed"
    ]


@pytest.mark.parametrize(
    ("schedule", "told_of"),
    [("0 0 31 2 *", True), ("0 0 31 2,4,jun */2", True), ("0 0 29 2 *", False), ("0 0 31 2 mon", False)],
)
def test_a_schedule_that_never_comes_is_told(schedule: str, told_of: bool) -> None:
    text = f"r.yaml:2:1: p: never asked by itself: no month of its schedule {schedule!r} has such a day"
    spec = f'{{schedule: "{schedule}", checks: [{{id: A, probe: dependents}}]}}'
    assert told("Procedure", "p", spec) == [text] * told_of


def test_an_overlay_and_a_detector_that_change_nothing_are_told() -> None:
    rule = route("r", f"\n  match: {FAILED}\n  severity: info\n  summary: x\n{EXAMPLES}").replace("Route", "Rule")
    (overlay,) = told("Rule", "r", "{overlay: true}", rule)
    assert overlay.startswith("r.yaml:2:1: changes nothing: say enabled, severity")
    assert told("Rule", "r", "{overlay: true, severity: critical}", rule) == []
    (detector,) = told("Detector", "two-owners", "{}")
    assert detector.startswith("r.yaml:2:1: changes nothing: say enabled")


def rule(name: str, more: str = "") -> str:
    spec = f"\n  match: {FAILED}\n  severity: info\n  summary: x\n{more}{EXAMPLES}"
    return route(name, spec).replace("kind: Route", "kind: Rule")


def replaced(*texts: str) -> list[str]:
    return [str(problem) for problem in compile_rules((f"{at}.yaml", text) for at, text in enumerate(texts)).problems]


def test_a_rule_that_takes_the_place_of_another_is_told_with_both_places() -> None:
    assert replaced(rule("a") + rule("r"), rule("b") + rule("r")) == [
        "1.yaml:17:18: metadata.name: replaces rule 'r' of 0.yaml:15; to change only some of it, use an overlay"
    ]


def test_each_of_several_rules_of_one_name_tells_which_one_it_replaces() -> None:
    assert [text.partition(";")[0] for text in replaced(rule("r"), rule("r"), rule("r"))] == [
        "1.yaml:4:18: metadata.name: replaces rule 'r' of 0.yaml:2",
        "2.yaml:4:18: metadata.name: replaces rule 'r' of 1.yaml:2",
    ]


def test_an_overlay_and_what_only_shares_a_name_replace_nothing() -> None:
    overlay = route("r", "{overlay: true, severity: critical}").replace("kind: Route", "kind: Rule")
    assert replaced(rule("r"), overlay, route("r", "{targets: log}")) == []
