"""The composition root: builds every object and nests the owners; the nesting is the order of start and stop.

resources (ledger, session, cluster) > sinks (lanes, server) > brain (pump) > feeds (informers, schedule, rules).
What the demo and the tests bring of their own is handed in as Parts; nothing is looked up behind anybody's back.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Protocol

import aiohttp
import structlog

import daemon.actions
from daemon.actions.plugin import Plugin
from daemon.engine.step import adopt, next_deadline, step
from daemon.engine.view import WorldView
from daemon.engine.world import Limits, World
from daemon.kube.client import KubeCluster, connect, default_kubeconfig
from daemon.model.effects import Effect
from daemon.model.errors import ConfigError, Problem
from daemon.model.ports import Clock, HttpRoute, Notifier, Readiness, View
from daemon.model.refs import Target
from daemon.model.signals import Signal
from daemon.notify.log import LogNotifier
from daemon.notify.slack import SlackNotifier
from daemon.notify.webhook import WebhookNotifier
from daemon.probes import pods
from daemon.rules.compile import compile_rules
from daemon.rules.ruleset import RuleSet
from daemon.runtime.backoff import delays
from daemon.runtime.clock import SystemClock
from daemon.runtime.inbox import KeyedInbox
from daemon.runtime.lanes import Lanes
from daemon.runtime.ledger import SqlLedger, open_ledger
from daemon.runtime.metrics import ProcessMetrics
from daemon.runtime.plugins import discover
from daemon.runtime.pump import Pump
from daemon.runtime.reload import Files, Reload
from daemon.runtime.supervise import Stop, Tasks, first
from daemon.settings import Settings, process_environment, read_secret, rule_paths
from daemon.sources import objects
from daemon.sources.commands import Commands
from daemon.sources.schedule import Schedule
from daemon.sources.slack import SlackInteractions
from daemon.sources.webhook import FluxWebhook
from daemon.web.server import Vitals, WebServer

SLACK_PACE = 1.0
"""Seconds between two posts in a channel: Slack's own limit."""
STOP_WITHIN = 10.0
"""Seconds that what is in flight may take when we are asked to stop; what is not sent stays in the outbox."""
LOOPBACK = ("127.", "localhost:", "[::1]:")

log = structlog.get_logger("fluxmedic")


class Watcher(Protocol):
    """Sees what each step did: the demo's terminal."""

    def __call__(self, view: View, at: datetime, effects: tuple[Effect, ...]) -> None:
        """Look, and change nothing."""
        ...


class WorldBrain:
    """The World behind the pump's Brain."""

    def __init__(self, world: World, watcher: Watcher | None = None) -> None:
        """Own this World; let the watcher see every step."""
        self.world = world
        self.view = WorldView(world)
        self._watcher = watcher

    def step(self, signal: Signal) -> tuple[Effect, ...]:
        """Take one signal in."""
        return self._seen(step(self.world, signal))

    def adopt(self, ruleset: RuleSet, now: datetime) -> tuple[Effect, ...]:
        """Put new rules in force."""
        log.info("rules in force", rules=len(ruleset.rules), procedures=len(ruleset.procedures))
        return self._seen(adopt(self.world, ruleset, now))

    def next_deadline(self) -> datetime | None:
        """Return when a Tick is due."""
        return next_deadline(self.world)

    def _seen(self, effects: tuple[Effect, ...]) -> tuple[Effect, ...]:
        if self._watcher is not None:
            self._watcher(self.view, self.world.now, effects)
        return effects


def _nobody(_address: str) -> None:
    """Tell nobody."""


@dataclass(slots=True)
class Parts:
    """What can be handed in from outside: the demo and the tests bring their own."""

    clock: Clock = field(default_factory=SystemClock)
    cluster: KubeCluster | None = None
    watcher: Watcher | None = None
    stop: Stop | None = None
    on_started: Callable[[str], None] = _nobody
    """Told the server's address once the daemon listens and knows its rules."""


async def run(settings: Settings, parts: Parts | None = None) -> None:
    """Run the daemon until it is asked to stop.

    Raises ConfigError, LedgerError or ClusterError when it cannot start, and what broke the pump when it cannot go on.
    """
    parts = parts or Parts()
    clock = parts.clock
    stop = parts.stop or Stop(clock, STOP_WITHIN)
    inbox = KeyedInbox()
    brain = WorldBrain(World(), parts.watcher)
    with _signals(stop):
        async with (
            _ledger(settings) as ledger,
            _cluster(settings, parts) as cluster,
            aiohttp.ClientSession() as session,
        ):
            notifiers = notifiers_of(settings, session)
            brain.world.limits = _limits(settings, notifiers)
            async with Tasks("sinks", clock, _fault) as sinks:
                lanes = _lanes(sinks, inbox, ledger, clock, cluster, notifiers)
                pump = Pump(brain, inbox, ledger, lanes, clock, volatile=ledger.volatile)
                schedule = Schedule(clock)
                rules = _rules(settings, pump, brain, schedule, clock)
                ruleset = rules.load()
                vitals = _vitals(brain.view, pump, inbox, lanes, ledger, rules, clock)
                server = WebServer(brain.view, vitals, clock, _routes(settings, inbox, clock))
                async with server.serve(settings.http.bind) as address:
                    await pump.perform(list(brain.adopt(ruleset, clock.now())))
                    await pump.perform(list(brain.step(await ledger.restore(clock.now()))))
                    parts.on_started(address)
                    async with Tasks("brain", clock, _fault) as thinking:
                        thinking.keep("pump", pump.run, restart=False)
                        async with Tasks("feeds", clock, _fault) as feeds:
                            _start_feeds(feeds, settings, cluster, inbox, clock)
                            schedule.take(schedules_of(ruleset))
                            feeds.keep("schedule", partial(schedule.run, inbox))
                            feeds.keep("rules", rules.run)
                            await first(stop.wait(), thinking.failure())
                        log.info("stopping", why=stop.why)
                        await stop.within(_quiet(inbox, lanes, clock))


def compiled(files: Files) -> RuleSet:
    """Return the rules of these files. Raises ConfigError with every problem, and when there is no file at all."""
    if not files:
        raise ConfigError(Problem("no rule file is there; name a folder of .yaml files", path="rules"))
    return compile_rules(files)


def _limits(settings: Settings, notifiers: Mapping[Target, tuple[Notifier, float]]) -> Limits:
    return Limits(
        cluster=settings.cluster,
        mode=settings.mode,
        targets=tuple(notifiers),
        group_wait=settings.notify.group_wait,
        resolve_after=settings.notify.resolve_after,
        expected=objects.resources(helm_storage=settings.helm_storage),
    )


@asynccontextmanager
async def _ledger(settings: Settings) -> AsyncIterator[SqlLedger]:
    ledger = await open_ledger(settings.ledger.url)
    for notice in ledger.notices:
        log.warning("ledger", notice=notice)
    try:
        yield ledger
    finally:
        await ledger.close()


@asynccontextmanager
async def _cluster(settings: Settings, parts: Parts) -> AsyncIterator[KubeCluster]:
    if parts.cluster is not None:
        yield parts.cluster
        return
    kubeconfig = settings.kubeconfig or default_kubeconfig(process_environment())
    async with await connect(settings.cluster, kubeconfig) as cluster:
        yield cluster


def notifiers_of(settings: Settings, session: aiohttp.ClientSession) -> Mapping[Target, tuple[Notifier, float]]:
    """Return the configured targets, each with its pace in seconds; the log when there is none. Raises ConfigError."""
    found: dict[Target, tuple[Notifier, float]] = {}
    slack, webhook = settings.slack, settings.webhook
    token = read_secret(slack.token_file, "the Slack token")
    if token is not None:
        if not slack.channel:
            raise ConfigError(Problem("a Slack token without a channel: set the channel's id", path="slack.channel"))
        page = settings.http.page_url
        notifier = SlackNotifier(
            token.decode(),
            slack.channel,
            session,
            api_url=slack.api_url,
            page_url=page,
            interactive=slack.signing_secret_file is not None,
        )
        found[Target("slack")] = (notifier, SLACK_PACE)
    if webhook.url:
        key = read_secret(webhook.key_file, "the webhook's key", strip=False)
        try:
            sender = WebhookNotifier(webhook.url, key, session, allow_private=webhook.allow_private)
        except ValueError as error:
            raise ConfigError(Problem(str(error), path="webhook.url")) from error
        found[Target("webhook")] = (sender, 0.0)
    if not found:
        found[Target("log")] = (LogNotifier(lambda line: log.info("incident", text=line)), 0.0)
    return found


def _lanes(
    tasks: Tasks,
    inbox: KeyedInbox,
    ledger: SqlLedger,
    clock: Clock,
    cluster: KubeCluster,
    notifiers: Mapping[Target, tuple[Notifier, float]],
) -> Lanes:
    plugins = discover(daemon.actions, Plugin)
    actions = {name: plugin.build(cluster, clock) for name, plugin in plugins.items()}
    inspector = partial(pods.inspect, cluster, inbox, clock)
    return Lanes(tasks, inbox, ledger, clock, notifiers=notifiers, actions=actions, inspector=inspector)


def schedules_of(ruleset: RuleSet) -> Mapping[str, str]:
    """Return the cron lines of the procedures that have one, by name."""
    return {name: procedure.schedule for name, procedure in ruleset.procedures.items() if procedure.schedule}


def _rules(settings: Settings, pump: Pump, brain: WorldBrain, schedule: Schedule, clock: Clock) -> Reload[RuleSet]:
    def take(ruleset: RuleSet) -> None:
        pump.call(lambda: brain.adopt(ruleset, clock.now()))
        schedule.take(schedules_of(ruleset))

    def report(problems: tuple[Problem, ...]) -> None:
        if problems:
            log.error("rules refused, the last good set stays in force", problems=[str(each) for each in problems])
        else:
            log.info("rules are well again")

    return Reload(rule_paths(settings), clock, compile_files=compiled, adopt=take, report=report)


def _routes(settings: Settings, inbox: KeyedInbox, clock: Clock) -> tuple[HttpRoute, ...]:
    key = read_secret(settings.hook.key_file, "the HMAC key of the Flux webhook", strip=False)
    hook = FluxWebhook(settings.cluster, inbox, clock, key, allow_unsigned=settings.hook.allow_unsigned)
    token = read_secret(settings.http.token_file, "the token of commands")
    loopback = settings.http.bind.startswith(LOOPBACK)
    secret = read_secret(settings.slack.signing_secret_file, "Slack's signing secret")
    buttons = SlackInteractions(inbox, clock, secret)
    said = Commands(inbox, clock, token, allow_without_token=loopback)
    return (*hook.routes(), *buttons.routes(), *said.routes())


def _vitals(
    view: WorldView,
    pump: Pump,
    inbox: KeyedInbox,
    lanes: Lanes,
    ledger: SqlLedger,
    rules: Reload[RuleSet],
    clock: Clock,
) -> Vitals:
    def readiness() -> Readiness:
        seen = view.readiness()
        notes = [*lanes.faults(), *ledger.notices, *(f"rules: {problem}" for problem in rules.problems)]
        if pump.ledger_fault:
            notes.append(f"ledger: {pump.ledger_fault}")
        return Readiness(ready=seen.ready, reasons=(*seen.reasons, *notes), kinds=seen.kinds)

    def process() -> Mapping[str, float]:
        return {
            "inbox_waiting": float(len(inbox)),
            "inbox_received_total": float(inbox.received),
            "inbox_merged_total": float(inbox.merged),
            "events_dropped_total": float(inbox.dropped),
            "lanes_waiting": float(lanes.waiting()),
            "actions_run_total": float(lanes.acted),
            "ledger_unsaved_rows": float(pump.unsaved()),
            "ledger_failing": float(bool(pump.ledger_fault)),
            "rules_refused": float(bool(rules.problems)),
            "rules_reloads_total": float(rules.reloads),
            "heartbeat_age_seconds": clock.monotonic() - pump.heartbeat,
        }

    def sent() -> Mapping[str, float]:
        found = {f"{name}_sent_total": float(lane.sent) for name, lane in lanes.targets.items()}
        return found | {f"{name}_failed_total": float(lane.failed) for name, lane in lanes.targets.items()}

    metrics = ProcessMetrics({"world": view.counters, "process": process, "target": sent})
    return Vitals(readiness, lambda: clock.monotonic() - pump.heartbeat, metrics.text)


def _start_feeds(feeds: Tasks, settings: Settings, cluster: KubeCluster, inbox: KeyedInbox, clock: Clock) -> None:
    for feed in objects.feeds(cluster, inbox, clock, _series(), helm_storage=settings.helm_storage):
        feeds.keep(feed.name, feed.run)


def _series() -> Iterator[Iterator[float]]:
    while True:
        yield delays()


@contextmanager
def _signals(stop: Stop) -> Iterator[None]:
    """Ask to stop on SIGTERM and SIGINT; elsewhere than in the main thread the caller asks itself."""
    loop = asyncio.get_running_loop()
    names = (signal.SIGINT, signal.SIGTERM)
    for name in names:
        with suppress(NotImplementedError, ValueError, RuntimeError):
            loop.add_signal_handler(name, stop.ask, name.name)
    try:
        yield
    finally:
        for name in names:
            with suppress(NotImplementedError, ValueError, RuntimeError):
                loop.remove_signal_handler(name)


async def _quiet(inbox: KeyedInbox, lanes: Lanes, clock: Clock) -> None:
    """Wait until nothing is in flight."""
    while len(inbox) or lanes.waiting():
        await clock.sleep(0.05)


def _fault(name: str, error: BaseException) -> None:
    log.warning("a task ended", task=name, error=f"{type(error).__name__}: {error}")
