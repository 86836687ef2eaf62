"""The names that rule files may use are those that exist."""

import importlib
import pkgutil

import daemon.actions
from daemon.engine.checks import PROBES
from daemon.engine.detect import DETECTORS
from daemon.engine.evidence import EVIDENCE
from daemon.rules import catalogue


def test_every_probe_of_the_core_can_be_written_and_no_other() -> None:
    assert set(catalogue.PROBES) == set(PROBES)


def test_every_detector_of_the_core_can_be_switched_off() -> None:
    assert set(DETECTORS) == catalogue.DETECTORS


def test_every_kind_of_evidence_of_the_core_can_be_asked_for() -> None:
    assert set(EVIDENCE) == catalogue.EVIDENCE


def test_every_action_that_a_rule_may_name_exists() -> None:
    modules = [
        importlib.import_module(f"daemon.actions.{each.name}") for each in pkgutil.iter_modules(daemon.actions.__path__)
    ]
    names = {module.PLUGIN.name for module in modules if hasattr(module, "PLUGIN")}
    assert set(catalogue.ACTIONS) <= names
