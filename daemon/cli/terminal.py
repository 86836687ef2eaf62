"""The demo on a terminal: one line a fact as it happens, then the recovery contract and what it cost.

Lines only, never a screen of its own: it reads the same in a log, without colour and in a narrow window.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from daemon.cli.output import printable
from daemon.cli.stage import Addresses, Options, Show
from daemon.engine.remedy import effect_began
from daemon.model.effects import Commit, Effect, SaveIncident, Send
from daemon.model.incidents import Entry, Incident, State
from daemon.model.notices import QUIET
from daemon.model.ports import View
from daemon.model.remedies import CheckState, Milestone, Mode, Phase

STYLES = {
    "opened": "bold red",
    "joined": "red",
    "evidence": "",
    "cause": "bold yellow",
    "rerooted": "bold yellow",
    "action": "bold cyan",
    "milestone": "green",
    "recovered": "green",
    "state": "bold",
    "git": "magenta",
    "slack": "blue",
}
NAMES_SHOWN = 4
"""Names of a group that are spelt out; the rest is counted."""
MARKS = {CheckState.MET: "✓", CheckState.MISSED: "✗", CheckState.PENDING: "…", CheckState.SKIPPED: "-"}


class Terminal:
    """Prints a demo as it goes."""

    def __init__(self, console: Console, options: Options, *, web: bool) -> None:
        """Print to this console; without `web` no addresses are shown."""
        self._console = console
        self._options = options
        self._web = web
        self._begun: datetime | None = None

    def opened(self, addresses: Addresses, begun: datetime) -> None:
        """Say what plays and where to look."""
        self._begun = begun
        options = self._options
        self._line(f"fluxmedic demo: {options.scenario.title}", "bold")
        if self._web:
            self._line(f"  page   {addresses.page}")
            self._line(f"  slack  {addresses.slack}  (a simulated channel)")
        self._line(f"  mode   {options.mode.value}; time runs {options.speed:g} times as fast; Ctrl-C ends it")
        self._line("")

    def pushed(self, at: datetime, subject: str) -> None:
        """Tell of a commit."""
        self._fact(at, "git", f"pushed: {subject}")

    def stepped(self, effects: tuple[Effect, ...], _view: View) -> None:
        """Tell what a step of the daemon added to the timelines, and what was said to people."""
        for effect in effects:
            match effect:
                case Commit(rows=rows):
                    for row in rows:
                        if isinstance(row, SaveIncident):
                            self._entries(row.news)
                case Send(notification=sent) if sent.reason not in QUIET:
                    self._fact(sent.at, "slack", f"told the channel: {sent.reason.value}")
                case _:
                    pass

    def ended(self, show: Show) -> None:
        """Print how it ended: the incident, its contract, and what a person would have done."""
        self._line("")
        if show.fault:
            self._line(f"The demo broke off: {show.fault}", "bold red")
        elif not show.over:
            self._line("Broken off before the end.", "bold")
        if not show.incidents:
            self._line("No incident: nothing was wrong, and nobody was told anything.", "bold green")
        for incident in show.incidents:
            self._incident(incident)
        if show.slack is not None and show.incidents:
            roots = show.slack.roots()
            replies = sum(len(show.slack.replies(root.ts)) for root in roots)
            edits = sum(root.edits for root in roots)
            said = (_count(len(roots), "message"), _count(edits, "edit"), _count(replies, "reply", "replies"))
            self._line(f"Slack: {', '.join(said)}")

    def lingers(self, seconds: float) -> None:
        """Say that the pages stay for a while."""
        self._line(f"The pages stay up for {seconds:.0f} s; Ctrl-C ends it.", "dim")

    def _incident(self, incident: Incident) -> None:
        resolved = incident.resolved_at
        span = f" after {_span((resolved - incident.opened_at).total_seconds())}" if resolved else ""
        style = "bold green" if incident.state is State.RESOLVED else "bold red"
        self._line(f"{incident.state.upper()}{span} · {incident.severity.word} · {incident.root}", style)
        self._line(f"  cause   {incident.cause}")
        self._line(f"  impact  {len(incident.dependents)} others failed or waited")
        plan = incident.remediation
        if plan is not None:
            self._line(f"  plan    {plan.id}: {plan.phase.value}; {plan.verdict or 'nobody has agreed yet'}")
            if plan.phase in (Phase.SUCCEEDED, Phase.FAILED, Phase.VERIFYING):
                self._contract(plan.milestones, effect_began(plan))
        if self._options.mode is Mode.OBSERVE and incident.instructions:
            self._line("")
            self._line("What a person has to do, exactly and in this order:", "bold")
            for number, text in enumerate(incident.instructions, start=1):
                self._line(f"  {number}. {text}")
        self._line("")

    def _contract(self, milestones: Sequence[Milestone], begun: datetime | None) -> None:
        table = Table(title="Recovery contract", title_style="bold", title_justify="left", box=None, pad_edge=False)
        for name in ("", "what must be so", "expected", "actual", "seen"):
            table.add_column(name, justify="right" if name in ("expected", "actual") else "left")
        for row in milestones:
            actual = _after(begun, row.met_at)
            style = {CheckState.MET: "green", CheckState.MISSED: "red"}.get(row.state, "dim")
            seen = printable(row.seen if row.state is not CheckState.SKIPPED else f"skipped: {row.seen}")
            mark = Text(f"{MARKS[row.state]} {row.check.id}", style)
            table.add_row(mark, Text(printable(row.check.text)), f"T+{row.check.within:.0f}s", actual, Text(seen))
        self._console.print(table)

    def _entries(self, news: Iterable[Entry]) -> None:
        """Print entries; many of one kind at one moment are one line."""
        waiting: list[Entry] = []
        for entry in news:
            if waiting and (entry.kind != waiting[0].kind or entry.kind not in ("joined", "recovered")):
                self._group(waiting)
                waiting = []
            waiting.append(entry)
        if waiting:
            self._group(waiting)

    def _group(self, entries: list[Entry]) -> None:
        first = entries[0]
        if len(entries) == 1:
            self._fact(first.at, first.kind, first.text)
            return
        names = [entry.object.name if entry.object is not None else "?" for entry in entries]
        more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
        words = {"joined": "fail or wait because of it", "recovered": "are well again"}[first.kind]
        self._fact(first.at, first.kind, f"{len(names)} {words}: {', '.join(names[:NAMES_SHOWN])}{more}")

    def _fact(self, at: datetime, kind: str, text: str) -> None:
        since = (at - self._begun).total_seconds() if self._begun else 0.0
        mark = Text.assemble((f"{_span(since):>7}  ", "dim"), (f"{kind:<10} ", STYLES.get(kind, "")))
        mark.append(printable(" ".join(text.split())))
        self._console.print(mark, soft_wrap=True)

    def _line(self, text: str, style: str = "") -> None:
        self._console.print(Text(printable(text), style), soft_wrap=True)


def _after(begun: datetime | None, met: datetime | None) -> str:
    return f"T+{(met - begun).total_seconds():.0f}s" if begun and met else ""


def _span(seconds: float) -> str:
    minutes, rest = divmod(max(0, round(seconds)), 60)
    return f"{minutes}m {rest:02}s" if minutes else f"{rest}s"


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
