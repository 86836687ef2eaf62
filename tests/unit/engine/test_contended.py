"""Two writers of one Helm release that take turns: told while it goes on, and over when nobody writes again."""

from datetime import timedelta

import pytest

from daemon.model.findings import Finding, FindingState, Severity
from daemon.model.refs import Fingerprint
from daemon.model.signals import ReleaseSeen
from tests.builders import T0, Cluster, Story, helm, ready, ref

FLUX, PERSON = "helm-controller", "Helm"
DB = ref("HelmRelease", "db")


def written(*writers: str) -> Story:
    """Play one revision a minute, each by the next writer, beside a release that is Ready all the time."""
    story = Story().see(Cluster().state("HelmRelease", "db", ready(), helm=helm("db"), interval=300.0))
    for number, writer in enumerate(writers, start=1):
        story.wait(60).give(
            ReleaseSeen(story.at, "default", "apps", "db", number, "deployed", writer, created_at=story.at)
        )
    return story


def fired(story: Story) -> Finding | None:
    found = story.world.findings.get(Fingerprint("release-contended", DB))
    return found if found is not None and found.state is FindingState.FIRING else None


def test_a_change_of_somebody_else_that_flux_wrote_over_is_told():
    found = fired(written(FLUX, PERSON, FLUX))
    assert found.severity is Severity.WARNING
    assert "Helm wrote revision 2, Flux overwrote it with revision 3 (once so far)" in found.summary


def test_every_turn_is_counted():
    assert (
        "Flux overwrote it with revision 5 (2 times so far)" in fired(written(FLUX, PERSON, FLUX, PERSON, FLUX)).summary
    )


@pytest.mark.parametrize(
    "writers",
    [
        (FLUX, FLUX, FLUX),
        (PERSON, FLUX),  # Flux adopted what was there
        (PERSON, FLUX, PERSON),  # and it was taken back
        (FLUX, PERSON),  # not overwritten yet
        (FLUX, "", FLUX),  # nobody knows who
    ],
)
def test_a_hand_over_is_no_fight(writers):
    assert fired(written(*writers)) is None


def test_the_fight_is_over_when_nobody_wrote_for_an_interval_and_five_minutes():
    story = written(FLUX, PERSON, FLUX)
    assert fired(story.wait(599)) is not None
    assert fired(story.wait(61)) is None
    assert story.wait(60).case.incident.state.value == "resolved"


def test_a_turn_of_long_ago_that_is_first_seen_now_is_quiet():
    story = Story()
    for number, writer in enumerate((FLUX, PERSON, FLUX), start=1):
        long_ago = T0 - timedelta(days=1)
        story.give(ReleaseSeen(T0, "default", "apps", "db", number, "deployed", writer, created_at=long_ago))
    story.see(Cluster().state("HelmRelease", "db", ready(), helm=helm("db"), interval=300.0))
    assert fired(story) is None
