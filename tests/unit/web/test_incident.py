"""The page of one incident: what, why, what now, who else, since when; safe to show whatever the cluster says."""

from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.model.incidents import Change, Entry, Incident, Member, Role, State
from daemon.model.refs import IncidentId
from daemon.model.remedies import Check, CheckState, Milestone, Mode, Outcome, Phase, Remediation, Step
from daemon.web.incident import REFRESH, incident_page
from tests.builders import T0, Cluster, Story, failing, needs, ref, waiting


def broken() -> Incident:
    cluster = Cluster()
    story = Story().see(cluster.state("Kustomization", "a", failing())).wait(6)
    story.see(cluster.state("Kustomization", "b", waiting("apps/a"), depends_on=needs(ref("Kustomization", "a"))))
    return story.wait(10).case.incident


BASE = broken()


def plan(phase: Phase) -> Remediation:
    step = Step("reconcile", ref("Kustomization", "a"), text="annotate it", outcome=Outcome.CHANGED, finished_at=T0)
    check = Check("S1", "condition", None, "it is Ready", 30.0)
    rows = (
        Milestone(check, CheckState.MET, "yes", T0 + timedelta(seconds=4), late=True),
        Milestone(check, CheckState.PENDING),
    )
    return Remediation(
        id="p1", incident=IncidentId("i"), rule="r", mode=Mode.PROPOSE, phase=phase,
        steps=(step, Step("x", step.ref)), digest="d", created_at=T0, started_at=T0, verdict="so far", milestones=rows,
    )  # fmt: skip


def whole(**changes: object) -> Incident:
    return replace(
        BASE,
        change=Change("1", "2", "feat: x", "GitRepository/r", "Kustomization/apps"),
        summary="in short",
        acknowledged_by="ada",
        instructions=("do this",),
        related=(IncidentId("other"),),
        **changes,  # type: ignore[arg-type]
    )


def test_a_plan_that_waits_shows_how_to_agree():
    body = incident_page(whole(remediation=plan(Phase.PROPOSED)), T0)
    assert "fluxmedic approve p1" in body
    assert "annotate it" in body
    assert "T+4 s" in body
    assert "met late" in body
    assert "do this" in body
    assert "/incidents/other" in body


def test_a_resolved_incident_does_not_tell_anybody_to_do_anything():
    body = incident_page(whole(state=State.RESOLVED, resolved_at=T0, remediation=plan(Phase.SUCCEEDED)), T0)
    assert "do this" not in body
    assert "http-equiv" not in body
    assert "fluxmedic approve" not in body


def test_members_without_a_root_are_drawn_all_the_same():
    base = BASE
    orphans = replace(base, members=base.members[1:])
    assert "Kustomization apps/b" in incident_page(orphans, T0)


def test_a_next_step_stands_in_for_instructions():
    base = replace(BASE, instructions=(), next_step="look there")
    assert "look there" in incident_page(base, T0)
    assert "No rule says how" in incident_page(replace(base, next_step="", runbook=""), T0)


def test_the_root_and_its_cause_come_first_and_the_name_is_not_said_twice():
    body = incident_page(replace(BASE, cause="Kustomization apps/a: no such file"), T0)
    assert body.index("<h1>Kustomization apps/a</h1>") < body.index(">no such file<") < body.index("What it broke")


def test_an_open_incident_says_that_it_needs_somebody_and_for_what():
    said = replace(
        BASE, next_step="Do not delete it", instructions=("flux suspend x",), runbook="https://x.example.com/r"
    )
    body = incident_page(said, T0)
    now, _, below = body.partition("What it broke")
    assert "Needs you: what a person would do" in now
    for words in ("Do not delete it", "flux suspend x", '<a href="https://x.example.com/r"'):
        assert words in now
        assert words not in below


def test_advice_that_is_the_commands_themselves_is_not_said_twice():
    body = incident_page(replace(BASE, next_step="flux suspend x", instructions=("flux suspend x",)), T0)
    assert body.count("flux suspend x") == 1
    assert "The steps that a plan would take" not in body


@pytest.mark.parametrize("runbook", ["javascript:alert(1)", "data:text/html,x", "", "//evil.example.com"])
def test_f105_a_runbook_that_is_no_web_address_is_no_link(runbook):
    assert "Runbook" not in incident_page(replace(BASE, next_step="look", runbook=runbook), T0)


def running(phase: Phase) -> Remediation:
    done = plan(phase)
    return replace(done, steps=(done.steps[0], replace(done.steps[1], text="")), verdict="", approved_by="ada")


def test_while_a_plan_runs_a_person_is_told_to_keep_off_and_the_commands_stand_further_down():
    body = incident_page(whole(state=State.REMEDIATING, remediation=running(Phase.RUNNING)), T0)
    assert "Nothing to do: fluxmedic is at work" in body
    assert "Step 2 of 2" in body
    assert "approved by ada" in body
    assert body.index("Plan p1: running") < body.index("By hand, only if fluxmedic gives up") < body.index("do this")


def test_while_a_fix_is_proven_the_proofs_are_counted_without_those_that_were_skipped():
    proving = running(Phase.VERIFYING)
    skipped = replace(proving.milestones[1], state=CheckState.SKIPPED)
    proving = replace(proving, milestones=(*proving.milestones, skipped))
    assert "1 of 2 proofs" in incident_page(whole(state=State.REMEDIATING, remediation=proving), T0)


def test_a_plan_that_failed_says_why_and_hands_over():
    body = incident_page(whole(remediation=replace(plan(Phase.FAILED), verdict="S1 was missed")), T0)
    assert "Plan p1 failed: S1 was missed" in body
    assert "Needs you: what a person would do" in body


@pytest.mark.parametrize(
    ("down", "words"),
    [(True, "1 of 1 that it held up are not well yet"), (False, "everything is well; it ends when that has lasted")],
)
def test_an_incident_that_recovers_says_what_it_waits_for(down, words):
    members = tuple(replace(member, recovered_at=None if down else T0) for member in BASE.members)
    assert words in incident_page(replace(BASE, state=State.RECOVERING, members=members), T0)


@pytest.mark.parametrize(
    ("phase", "words"), [(Phase.SUCCEEDED, "fluxmedic mended it"), (Phase.FAILED, "Mended without fluxmedic")]
)
def test_what_is_over_says_who_mended_it(phase, words):
    body = incident_page(whole(state=State.RESOLVED, resolved_at=T0, remediation=plan(phase)), T0)
    assert words in body
    assert "Needs you" not in body


def test_each_member_has_a_sign_and_a_word_for_how_it_is():
    root, victim = BASE.members
    seen = Member(ref("Deployment", "d"), Role.RELATED, T0, "0/3 ready", root.ref)
    well = replace(victim, ref=ref("Kustomization", "c"), recovered_at=T0)
    body = incident_page(replace(BASE, members=(root, victim, seen, well)), T0)
    for words in (
        "● root",
        "● down",
        "· related",
        "✓ well",
        "when it joined: 0/3 ready",
        "What it broke: 2, 1 still down",
    ):
        assert words in body
    assert "What it broke: 1, all well" in incident_page(replace(BASE, members=(root, well)), T0)
    assert "What it broke: nothing else" in incident_page(replace(BASE, members=(root,)), T0)


def test_members_that_name_each_other_as_parents_are_drawn_once_each():
    one, other = (ref("Kustomization", name) for name in ("x", "y"))
    members = (Member(one, Role.DEPENDENT, T0, "", other), Member(other, Role.DEPENDENT, T0, "", one))
    body = incident_page(replace(BASE, members=members), T0)
    assert body.count("apps/x<") == body.count("apps/y<") == 1


def test_the_timeline_says_who_a_person_was_and_cuts_what_is_endless():
    entries = (
        Entry(T0, T0, "command", "person ada", "acknowledged"),
        Entry(T0, T0, "not a name", "flux", "x" * 1000),
    )
    body = incident_page(replace(BASE, timeline=entries), T0)
    assert "(person ada)" in body
    assert "(flux)" not in body
    assert "x" * 401 not in body
    assert 'class="k-command"' in body
    assert "k-not" not in body


@pytest.mark.parametrize("state", State)
def test_a_page_to_copy_from_is_not_loaded_anew_all_the_time(state):
    body = incident_page(replace(BASE, state=state), T0)
    seconds = REFRESH[state]
    assert (f'content="{seconds}"' in body) == (seconds > 0)


class Elements(HTMLParser):
    """Every element and attribute that a browser would see, and whether what opens also closes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.names: set[str] = set()
        self.links: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        self.names |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        if tag not in ("meta", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


EVIL = st.sampled_from(
    (
        "<script>alert(1)</script>",
        '" onmouseover="x',
        "</h1><img src=x onerror=y>",
        "<!--",
        "&lt;b&gt;",
        "\x00\x1b[2J\u202e\ud800",
    )
) | st.text(max_size=40)


@given(EVIL, EVIL, EVIL)
def test_f105_whatever_the_cluster_says_a_page_has_the_same_elements(text, name, why):
    where = ref("Kustomization", name, text)
    entry = Entry(T0, T0, text, why, name, where)
    step = Step(text, where, text=why, detail=name)
    row = Milestone(Check(text, name, where, why, 5.0), CheckState.MISSED, text)
    steps = replace(plan(Phase.FAILED), id=text, rule=name, steps=(step,), milestones=(row,), verdict=why)
    said = replace(
        BASE,
        root=where, cause=why, summary=text, rules=(name,), next_step=text, instructions=(why,), runbook=f"https://{text}",
        members=(Member(where, Role.ROOT, T0, why), Member(ref(text, why), Role.DEPENDENT, T0, name, where)),
        timeline=(entry,), acknowledged_by=why, change=Change(text, name, why, text, name), remediation=steps,
        related=(IncidentId(text),),
    )  # fmt: skip
    found = Elements(incident_page(said, T0))
    assert found.open == []
    assert found.seen <= {
        "html", "head", "meta", "title", "link", "body", "nav", "main", "header", "section", "a", "p", "h1", "h2",
        "span", "div", "time", "pre", "ol", "ul", "li", "dl", "dt", "dd", "table", "thead", "tbody", "tr", "th", "td",
    }  # fmt: skip
    assert found.names <= {
        "lang", "charset", "name", "content", "http-equiv", "rel", "href", "class", "datetime", "title", "data-label"
    }  # fmt: skip
    assert all(link.startswith(("/", "https://")) for link in found.links)
