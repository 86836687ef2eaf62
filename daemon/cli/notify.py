"""`notify test`: one real message to one target, plainly marked as a test."""

import asyncio

import click

from daemon.cli.daemon import CONFIG
from daemon.cli.output import FINDINGS, say
from daemon.settings import Settings, load, process_environment


@click.group()
def notify() -> None:
    """Send a test message to a target."""


@notify.command()
@click.argument("target")
@CONFIG
def test(target: str, config_file: str) -> None:
    """Send a test message to TARGET (slack, webhook or log) and say what came of it; exit 1 when it did not arrive."""
    settings = load(process_environment(), config_file).settings
    arrived, words = asyncio.run(_send(settings, target))
    say(words)
    if not arrived:
        raise SystemExit(FINDINGS)


async def _send(settings: Settings, target: str) -> tuple[bool, str]:
    import aiohttp

    from daemon.app import notifiers_of
    from daemon.model.findings import Severity
    from daemon.model.incidents import Incident, State
    from daemon.model.notices import Notification, Reason, Sent
    from daemon.model.refs import EffectId, IncidentId, ObjectRef, Target, derived_id
    from daemon.runtime.clock import SystemClock

    now = SystemClock().now()
    async with aiohttp.ClientSession() as session:
        found = notifiers_of(settings, session)
        if target not in found:
            raise click.UsageError(f"no target is called {target!r}; configured: {', '.join(sorted(found))}")
        notifier, _ = found[Target(target)]
        incident = Incident(
            id=IncidentId(derived_id("test", now.isoformat())),
            root=ObjectRef(settings.cluster, "", "Test", "fluxmedic", "message"),
            cause="This is a test message of fluxmedic; nothing is wrong.",
            severity=Severity.INFO,
            state=State.RESOLVED,
            opened_at=now,
            updated_at=now,
            resolved_at=now,
        )
        key = EffectId(derived_id(target, incident.id))
        delivery = await notifier.send(Notification(key, Target(target), Reason.OPENED, incident, now), "")
    arrived = delivery.outcome is Sent.SENT
    return arrived, f"{target}: {delivery.outcome.value}" + (f": {delivery.detail}" if delivery.detail else "")
