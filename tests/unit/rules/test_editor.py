"""What an editor refuses by the schema is what load refuses, as far as a schema can tell, and never anything else."""

import json
import re

import pytest
from jsonschema import Draft202012Validator

from daemon.model.errors import ConfigError
from daemon.rules import schema
from daemon.rules.compile import compile_rules
from daemon.rules.editor import up_to

VALIDATOR = Draft202012Validator(schema.json_schema())
DURATIONS = ("0s", "31d", "31d0h", "00031d", "744h", "44640m", "2678400s", "1h30m", "0.5s")
NO_DURATIONS = ("40d", "32d", "745h", "44641m", "2678401s", "", "5", ".5s", "1m2h")
NO_SCHEDULES = (
    *("*/0 * * * *", "60 * * * *", "0 24 * * *", "0 0 0 * *", "0 0 * 0 *", "0 0 * * 8", "*/60 * * * *", "*-5 * * * *"),
    *("* * * *", "* * * * * *", "@hourly", "0 0 * jum *", 17),
)
STAGE, LATER = {"when": "suspended"}, {"when": "suspended", "within": "5m"}
NAMED = {"kind": "DaemonSet", "namespace": "a", "name": "b"}
EVERYTHING = {"kind": "Kustomization", "namespace": "a", "name": "b"}


def document(kind: str, spec: dict[str, object]) -> dict[str, object]:
    return {"apiVersion": "fluxmedic.dev/v1", "kind": kind, "metadata": {"name": "x"}, "spec": spec}


def rule(**fields: object) -> dict[str, object]:
    base = {"match": {"kind": "HelmRelease", "health": "Failed"}, "severity": "info", "summary": "x"}
    return document("Rule", base | fields)


def check(probe: str, **given: object) -> dict[str, object]:
    checks = [{"id": "a", "probe": probe, "with": {key.replace("_", "-"): value for key, value in given.items()}}]
    return document("Procedure", {"parameters": {"p": "3", "q": "True"}, "checks": checks})


def schedule(line: object) -> dict[str, object]:
    return document("Procedure", {"schedule": line, "checks": [{"id": "a", "probe": "dependents"}]})


def step(action: str, **given: object) -> dict[str, object]:
    return rule(remediation={"mode": "observe", "steps": [{"action": action, "with": given}]})


def window(**fields: object) -> dict[str, object]:
    return document("Window", {"days": "sun", "from": "00:00", "to": "01:00", **fields})


def silence(comment: str) -> dict[str, object]:
    moments = {"starts": "2026-01-01T00:00:00Z", "ends": "2026-01-02T00:00:00Z"}
    return document("Silence", {"match": {"kind": "Node"}, **moments, "comment": comment, "by": "ann"})


def loads(given: dict[str, object]) -> bool:
    try:
        compile_rules([("a.yaml", json.dumps(given))])
    except ConfigError:
        return False
    return True


@pytest.mark.parametrize(
    "given",
    [
        *(rule(**{"for": text}) for text in NO_DURATIONS),
        *(rule(absent_for=text) for text in ("0s", "0d0h", "0.0s", "00m")),
        rule(count={"at_least": 2, "within": "0s"}),
        rule(sequence=[STAGE]),
        rule(sequence=[STAGE, {"when": "suspended", "within": "0s"}]),
        rule(sequence=[STAGE, LATER, LATER, LATER, LATER, LATER]),
        rule(sequence=[STAGE, LATER], when="suspended"),
        rule(sequence=[STAGE, LATER], count={"at_least": 2, "within": "1m"}),
        rule(absent_for="1m", count={"at_least": 2, "within": "1m"}),
        rule(match={"kind": "HelmRelease"}),
        rule(match={"kind": "HelmRelease", "health": [], "reason": []}),
        rule(evidence=["guess"]),
        step("dance"),
        step("reconcile", x=1),
        step("reconcile", kind="HelmRelease"),
        step("delete-release", source=True),
        *(schedule(line) for line in NO_SCHEDULES),
        check("nothing"),
        check("exists"),
        check("exists", kind="Node", at_least="many"),
        check("exists", kind="Node", at_least=0),
        check("exists", kind="*"),
        check("exists", kind="Node", ready=1),
        check("workload", **NAMED, ready="lots"),
        check("workload", kind="DaemonSet", namespace="a"),
        check("absent", **EVERYTHING | {"name": "b*"}),
        check("condition", status="yes"),
        check("condition", status=True),
        check("condition", type=" "),
        check("condition", name="b"),
        check("condition", kind="Node"),
        check("release", status="deploid"),
        check("release", namespace="a", name="*"),
        check("dependents", kind="Node"),
        document("Procedure", {"checks": [{"id": "a", "probe": "absent"}]}),
        window(),
        window(quiet=False, freeze=False),
        silence(" "),
    ],
    ids=lambda given: json.dumps(given["spec"])[:90],
)
def test_what_load_refuses_an_editor_refuses_too(given):
    assert not VALIDATOR.is_valid(given)
    assert not loads(given)


@pytest.mark.parametrize(
    "given",
    [
        *(rule(**{"for": text}) for text in DURATIONS),
        *(rule(absent_for=text) for text in ("0.5s", "10s", None)),
        rule(sequence=[]),
        rule(match={"kind": "HelmRelease"}, sequence=[STAGE, LATER], when=None, count=None),
        rule(match={"kind": "HelmRelease"}, when="suspended", absent_for="1m", count=None, sequence=[]),
        rule(match={"kind": "HelmRelease", "reason": "A"}),
        rule(evidence=["culprit", "events"]),
        step("reconcile", source=True),
        step("reconcile", kind="", name="", namespace=""),
        step("delete-release", kind="HelmRelease", name="b"),
        *(schedule(line) for line in ("17 * * * *", "  17  *\t* * * ", "00 */23 1-31/30 jan-Mar,12 MON-5,7", None)),
        check("exists", kind="PrometheusRule", name="a*", at_least="${p}"),
        check("exists", kind="Node", at_least=999_999),
        check("workload", **NAMED, ready="all"),
        check("workload", **NAMED, ready="$p"),
        check("absent", kind="Node", namespace="", name=7),
        check("absent", **EVERYTHING | {"name": "${p}"}),
        check("condition", status="${q}"),
        check("condition", **EVERYTHING, type="Healthy", status="False", reason=""),
        check("release"),
        check("release", namespace="", name=""),
        check("release", namespace="a", name="b", status="pending-upgrade"),
        check("dependents"),
        document("Procedure", {"checks": [{"id": "a", "probe": "condition"}]}),
        window(quiet=True),
        window(freeze=True, quiet=False),
        silence("why"),
    ],
    ids=lambda given: json.dumps(given["spec"])[:90],
)
def test_what_load_accepts_no_editor_refuses(given):
    assert loads(given)
    assert [error.message for error in VALIDATOR.iter_errors(given)] == []


@pytest.mark.parametrize("most", [0, 7, 9, 10, 31, 59, 100, 744, 1010])
def test_a_pattern_of_numbers_ends_where_it_should(most):
    numbers = [number for number in range(3 * most + 20) if re.fullmatch(up_to(most), str(number))]
    assert numbers == list(range(most + 1))
    assert re.fullmatch(up_to(most), f"000{most}")
