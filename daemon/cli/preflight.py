"""`check`: everything the daemon needs, one row each. Nothing is changed anywhere but in the ledger's own folder."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp

import daemon.actions
from daemon.actions.plugin import Permission, Plugin
from daemon.app import compiled, notifiers_of
from daemon.flux.kinds import WATCHED, Kind, resource_of
from daemon.kube.client import KubeCluster, connect, default_kubeconfig
from daemon.model.errors import ClusterError, ConfigError, DaemonError, LedgerInUse, NotFound
from daemon.model.refs import Target
from daemon.model.remedies import Mode
from daemon.notify.slack import SlackNotifier
from daemon.runtime.clock import SystemClock
from daemon.runtime.ledger import open_ledger
from daemon.runtime.plugins import discover
from daemon.runtime.reload import read
from daemon.settings import Settings, process_environment, rule_paths

OK, WARNING, FAILED = "ok", "warning", "failed"
READING = ("get ", "list ", "watch ")
SKEW = 5.0
"""Seconds by which two clocks may differ: events and conditions carry the cluster's, our entries ours."""
FLUX = frozenset({"Kustomization", "HelmRelease", "GitRepository"})
"""Without these there is no Flux here; every other kind is optional."""


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that was looked at."""

    name: str
    state: str
    detail: str


async def preflight(settings: Settings) -> list[Row]:
    """Return every row; one that fails never keeps the others from being asked."""
    rows = [_rules(settings), await _guarded("ledger", lambda: _ledger(settings))]
    rows.append(await _guarded("targets", lambda: _targets(settings)))
    try:
        kubeconfig = settings.kubeconfig or default_kubeconfig(process_environment())
        async with await connect(settings.cluster, kubeconfig) as cluster:
            rows += await _cluster(cluster, settings.mode)
    except DaemonError as error:
        rows.append(Row("cluster", FAILED, str(error)))
    return rows


async def _guarded(name: str, ask: Callable[[], Awaitable[Row]]) -> Row:
    try:
        return await ask()
    except DaemonError as error:
        return Row(name, FAILED, str(error))


def _rules(settings: Settings) -> Row:
    try:
        ruleset = compiled(read(rule_paths(settings)))
    except ConfigError as error:
        return Row("rules", FAILED, "; ".join(map(str, error.problems)))
    state = WARNING if ruleset.problems else OK
    return Row("rules", state, f"{len(ruleset.rules)} rules, {len(ruleset.problems)} warnings")


async def _ledger(settings: Settings) -> Row:
    try:
        ledger = await open_ledger(settings.ledger.url)
    except LedgerInUse:
        return Row("ledger", OK, "in use: a fluxmedic runs on it")  # as when it is asked inside the daemon's pod
    notices = ledger.notices
    await ledger.close()
    return Row("ledger", WARNING if notices else OK, "; ".join(notices) or "opened, migrated and closed")


async def _targets(settings: Settings) -> Row:
    async with aiohttp.ClientSession() as session:
        found = notifiers_of(settings, session)
        for notifier, _ in found.values():
            if isinstance(notifier, SlackNotifier):
                try:
                    user = await notifier.check()
                except Exception as error:  # noqa: BLE001 - whatever the library raises, it is the answer to the check
                    return Row("targets", FAILED, f"Slack: {error}")
                return _told_to(settings, set(found), f"; Slack knows us as {user}")
    return _told_to(settings, set(found))


def _told_to(settings: Settings, there: set[Target], more: str = "") -> Row:
    """Return who is told, and a warning when a file routes to somebody who is not set up."""
    try:
        ruleset = compiled(read(rule_paths(settings)))
    except ConfigError:
        return Row("targets", OK, ", ".join(sorted(there)) + more)  # the rules have a row of their own
    named = {each for route in ruleset.routes for each in route.targets}
    named |= {each for rule in ruleset.rules for each in rule.route}
    text, absent = ", ".join(sorted(there)) + more, ", ".join(sorted(named - there))
    if absent:
        return Row("targets", WARNING, f"{text}; rule files route to {absent}, which is not set up")
    return Row("targets", OK, text)


async def _cluster(cluster: KubeCluster, mode: Mode) -> list[Row]:
    rows = [Row("cluster", OK, f"API server {await cluster.version()}"), await _clock(cluster)]
    rows += [await _kind(cluster, kind) for kind in WATCHED]
    rows += await _writes(cluster, mode)
    return rows


async def _clock(cluster: KubeCluster) -> Row:
    theirs = await cluster.server_time()
    if theirs is None:
        return Row("clock", WARNING, "the API server does not tell its time")
    skew = abs((SystemClock().now() - theirs).total_seconds())
    return Row("clock", OK if skew <= SKEW else WARNING, f"{skew:.0f} s from the API server's")


async def _kind(cluster: KubeCluster, kind: Kind) -> Row:
    name = f"kind {resource_of(kind)}"
    try:
        await cluster.discovery.find(kind.group, kind.kind)
    except NotFound:
        wanted = kind.kind in FLUX
        return Row(name, FAILED if wanted else OK, "not installed" + (": is Flux in this cluster?" if wanted else ""))
    except ClusterError as error:
        return Row(name, FAILED, str(error))
    missing = [verb for verb in ("list", "watch") if not await cluster.can_i(verb, kind.group, kind.plural)]
    return Row(name, FAILED if missing else OK, f"right missing: {', '.join(missing)}" if missing else "list, watch")


async def _writes(cluster: KubeCluster, mode: Mode) -> list[Row]:
    """The rights that actions need: above observe none may be missing; in observe a right to write is surplus."""
    rows = []
    for name, plugin in sorted(discover(daemon.actions, Plugin).items()):
        held, lacking = await _rights(cluster, plugin.permissions)
        if mode is Mode.OBSERVE:
            surplus = [right for right in held if not right.startswith(READING)]
            text = (
                f"surplus in mode observe: {', '.join(surplus)}"
                if surplus
                else "no right to write, as mode observe needs"
            )
            rows.append(Row(f"action {name}", WARNING if surplus else OK, text))
        else:
            text = f"right missing: {', '.join(lacking)}" if lacking else f"{len(held)} rights, all there"
            rows.append(Row(f"action {name}", FAILED if lacking else OK, text))
    return rows


async def _rights(cluster: KubeCluster, wanted: tuple[Permission, ...]) -> tuple[list[str], list[str]]:
    held: list[str] = []
    lacking: list[str] = []
    for permission in wanted:
        for verb in permission.verbs:
            allowed = await cluster.can_i(verb, permission.group, permission.resource)
            (held if allowed else lacking).append(f"{verb} {permission.resource}")
    return held, lacking
