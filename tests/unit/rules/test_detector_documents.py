"""Documents of kind Detector: examples and settings of what is written in code."""

import pytest

from daemon.model.errors import ConfigError
from daemon.rules.compile import compile_rules

DETECTOR = """
apiVersion: fluxmedic.dev/v1
kind: Detector
metadata: {name: two-owners}
spec:
  examples:
    - name: fires
      object: {kind: HelmRelease, name: db}
      given: {ready: "True", others: [{kind: Node, name: one}, {kind: HelmRelease, name: b}]}
      after: 1s
      expect: {state: firing}
"""


def test_examples_of_a_detector_stay_when_a_later_file_only_switches_it_off() -> None:
    off = "apiVersion: fluxmedic.dev/v1\nkind: Detector\nmetadata: {name: two-owners}\nspec: {enabled: false}\n"
    found = compile_rules([("a.yaml", DETECTOR), ("b.yaml", off)])
    assert found.detectors_off == {"two-owners"}
    (example,) = found.detector_examples["two-owners"]
    assert (example.kind, example.namespace, example.object_name) == ("HelmRelease", "flux-system", "db")
    assert [other.state.ready for other in example.given[0].others] == ["", "True"]  # a Node has conditions of its own


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("object: {kind: HelmRelease, name: db}", "object: {name: db}", "say which object it is about: object.kind"),
        ("{kind: Node, name: one}", "{kind: Node}", "given.others.0: another object needs kind and name, or raw"),
        ("{kind: Node, name: one}", "{kind: Node, named: one}", "unknown key 'named'"),
    ],
)
def test_f046_a_mistake_in_an_example_of_a_detector_is_refused(old: str, new: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compile_rules([("a.yaml", DETECTOR.replace(old, new))])
    assert problem in str(caught.value)


def test_a_detector_keeps_what_it_was_when_its_examples_were_written() -> None:
    head = "apiVersion: fluxmedic.dev/v1\nkind: Detector\nmetadata: {name: two-owners}\nspec: "
    first = DETECTOR.replace("spec:\n", "spec:\n  for: 20s\n")
    found = compile_rules([("a.yaml", first), ("b.yaml", f"{head}{{severity: info, for: 5m}}\n")])
    assert found.detector_written == {"two-owners": (None, 20.0)}
    assert found.detector_hold == {"two-owners": 300.0}
