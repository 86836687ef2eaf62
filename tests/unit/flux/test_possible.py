"""What lint calls impossible for a kind is compared with what the engine makes of objects of that kind."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.engine.health import latch
from daemon.engine.world import Known
from daemon.flux.decode import decode_object
from daemon.flux.kinds import WATCHED, Kind
from daemon.flux.possible import AT_EASE, NEVER, UNREADY, healths_of, never_depend, never_run
from daemon.model.objects import Health
from daemon.rules.sample import least
from tests.builders import T0

KINDS = [kind for kind in WATCHED if kind.kind != "Event"]
STATUS = st.sampled_from(["True", "False", "Unknown"])
REASONS = st.sampled_from(
    ["Succeeded", "Progressing", "DependencyNotReady", "UpgradeFailed", "ProgressDeadlineExceeded"]
)
COUNTS = st.fixed_dictionaries(
    {},
    optional={
        key: st.integers(0, 3)
        for key in ("replicas", "readyReplicas", "updatedReplicas", "observedGeneration", "desiredNumberScheduled")
    },
)


def conditions(kind: Kind) -> st.SearchStrategy[list[dict[str, str]]]:
    types = ["Available", "Progressing", "Failed", "Reconciling"]
    types += [] if kind.kind in UNREADY else ["Ready", "Stalled"]
    return st.lists(
        st.fixed_dictionaries({"type": st.sampled_from(types), "status": STATUS, "reason": REASONS}), max_size=3
    )


def raw_of(kind: Kind, **more: object) -> dict[str, Any]:
    """The least object of a kind, with more in its spec."""
    found: dict[str, Any] = least(kind.group, kind.kind)
    found["metadata"] |= {"name": "x", "uid": "1"}
    found["spec"] = {**found["spec"], **more}
    return found


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_the_engine_never_gives_a_kind_a_health_that_is_called_impossible(kind, data) -> None:
    known, now = None, T0
    for _ in range(data.draw(st.integers(1, 4))):
        raw = raw_of(kind, suspend=data.draw(st.booleans()), replicas=data.draw(st.integers(0, 2)))
        raw["metadata"]["generation"] = data.draw(st.integers(1, 2))
        if data.draw(st.booleans()) and data.draw(st.booleans()):
            raw["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        raw["status"] = {**data.draw(COUNTS), "conditions": data.draw(conditions(kind))}
        state, now = decode_object(raw, "default"), now + timedelta(minutes=1)
        known = latch(known or Known(state), state, now)
        assert known.health in healths_of([kind.kind])
        assert known.health not in AT_EASE or known.failing_since is None


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_only_kinds_that_the_decoder_gives_dependencies_or_pods_are_said_to_have_some(kind) -> None:
    state = decode_object(raw_of(kind, dependsOn=[{"name": "x"}], replicas=3), "default")
    by_schema = kind.group in ("", "apiextensions.k8s.io", "notification.toolkit.fluxcd.io")
    assert never_depend([kind.kind]) == (not state.depends_on or by_schema)
    assert never_run([kind.kind]) == (state.replicas is None and state.helm is None)


def test_of_a_kind_that_is_not_watched_nothing_is_called_impossible() -> None:
    assert healths_of(["Zzz"]) == frozenset(Health) - NEVER
    assert not never_depend(["Bucket", "Zzz"])
    assert not never_run(["Bucket", "Zzz"])
