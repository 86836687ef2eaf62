"""One ordered queue of effects for each target and for each object: the only place where anything is tried again.

A target's lane keeps one waiting notification an incident: the newest snapshot under the strongest reason, so a target
that was away gets the present state and not the backlog. An outcome that is unknown is looked up before a repeat.
"""

from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Protocol

from daemon.model.effects import Inspect, RunAction, Send
from daemon.model.errors import LedgerError
from daemon.model.notices import Delivery, Notification, Reason, Sent
from daemon.model.ports import Action, Clock, Inbox, Notifier
from daemon.model.refs import EffectId, ObjectRef, Target
from daemon.model.remedies import ActionRequest, ActionResult, Outcome
from daemon.model.signals import ActionFinished, Delivered
from daemon.runtime.backoff import delays
from daemon.runtime.supervise import Tasks

ATTEMPT_LIMIT = 20.0
"""Seconds one attempt at one target may take."""
FAILED_AGAIN = 300.0
"""Seconds until a target that refused for good (a revoked token) is asked again (fault 75)."""
ACTION_GRACE = 30.0
"""Seconds an action gets beyond its own deadline to answer for itself."""
ORDER = (Reason.OPENED, Reason.RESOLVED, Reason.REOPENED, Reason.FAILED, Reason.PROPOSED, Reason.CAUSE_CHANGED)
"""Which reason stands for several that waited together; others give way to the newest."""


class Marks(Protocol):
    """What the ledger is told before an effect leaves, so that a crash leaves a trace of it."""

    async def mark_sending(self, key: EffectId) -> bool:
        """Note that an attempt begins; say whether one had begun before."""
        ...

    async def mark_executing(self, request: EffectId) -> None:
        """Note that an action begins."""
        ...


@dataclass(slots=True)
class TargetLane:
    """The queue of one target."""

    notifier: Notifier
    pace: float = 0.0
    """Least seconds between two sends: Slack takes about one message a second in a channel."""
    waiting: OrderedDict[str, Notification] = field(default_factory=OrderedDict)
    fault: str = ""
    sent: int = 0
    failed: int = 0
    busy: bool = False
    flying: bool = False
    """An attempt is under way: a stop waits for it."""


class Lanes:
    """All lanes of the process; the Sink of the pump."""

    def __init__(
        self,
        tasks: Tasks,
        inbox: Inbox,
        marks: Marks,
        clock: Clock,
        *,
        notifiers: Mapping[Target, tuple[Notifier, float]],
        actions: Mapping[str, Action],
        inspector: Callable[[Inspect], Awaitable[None]] | None = None,
    ) -> None:
        """Own a lane for each notifier (with its pace in seconds) and, as needed, one for each object."""
        self._tasks = tasks
        self._inbox = inbox
        self._marks = marks
        self._clock = clock
        self._actions = actions
        self._inspector = inspector
        self._objects: dict[ObjectRef, deque[RunAction]] = {}
        self._threads: dict[tuple[Target, str], str] = {}
        self._given_way: dict[EffectId, tuple[Notification, ...]] = {}
        """Key of what waits or flies to those it speaks for: their rows are settled when it is, not before."""
        self._inspecting: set[ObjectRef] = set()
        self.targets = {target: TargetLane(notifier, pace) for target, (notifier, pace) in notifiers.items()}
        self.acted = 0

    def send(self, effect: Send) -> None:
        """Put a notification into its target's lane; start the lane if it rests."""
        notification = effect.notification
        lane = self.targets.get(notification.target)
        if lane is None:
            text = f"no target is called {notification.target}"
            self._deliver(Delivery(notification.key, notification.target, notification.incident.id, Sent.FAILED, text))
            return
        thread = notification.incident.threads.get(notification.target)
        if thread:
            self._threads.setdefault((notification.target, notification.incident.id), thread)
        self._enqueue(lane, notification)
        if not lane.busy:
            lane.busy = True
            self._tasks.spawn(f"lane {notification.target}", partial(self._drain, notification.target, lane))

    def act(self, effect: RunAction) -> None:
        """Put an action into its object's lane."""
        ref = effect.request.ref
        waiting = self._objects.get(ref)
        if waiting is not None:
            waiting.append(effect)
            return
        self._objects[ref] = deque([effect])
        self._tasks.spawn(f"lane {ref}", partial(self._act_all, ref))

    def inspect(self, effect: Inspect) -> None:
        """Read the pods of a workload, unless that is going on."""
        if self._inspector is None or effect.ref in self._inspecting:
            return
        self._inspecting.add(effect.ref)
        self._tasks.spawn(f"inspect {effect.ref}", partial(self._inspect, effect))

    def waiting(self) -> int:
        """Return how many notifications and actions wait."""
        queued = sum(len(lane.waiting) + lane.flying for lane in self.targets.values())
        return queued + sum(len(waiting) for waiting in self._objects.values())

    def faults(self) -> tuple[str, ...]:
        """Return what is wrong with targets now, for readiness."""
        return tuple(f"target {name}: {lane.fault}" for name, lane in sorted(self.targets.items()) if lane.fault)

    def _enqueue(self, lane: TargetLane, notification: Notification) -> None:
        before = lane.waiting.pop(notification.incident.id, None)
        if before is not None:
            notification = self._merged(before, notification)
        lane.waiting[notification.incident.id] = notification

    def _merged(self, before: Notification, after: Notification) -> Notification:
        """Return one notification for two; the one that gives way is settled with it."""
        reasons = (before.reason, after.reason)
        reason = next((each for each in ORDER if each in reasons), after.reason)
        kept, dropped = (before, after) if reason is before.reason and reason is Reason.OPENED else (after, before)
        spoken_for = (*self._given_way.pop(dropped.key, ()), dropped)
        self._given_way[kept.key] = (*self._given_way.get(kept.key, ()), *spoken_for)
        newest = before.incident if before.incident.version > after.incident.version else after.incident
        return replace(kept, reason=reason, incident=newest, news=before.news + after.news, at=after.at)

    async def _drain(self, target: Target, lane: TargetLane) -> None:
        waits = delays()
        try:
            while lane.waiting:
                incident, notification = next(iter(lane.waiting.items()))
                del lane.waiting[incident]
                lane.flying = True
                delivery = await self._attempt(lane, notification)
                lane.flying = False
                if delivery.outcome in (Sent.SENT, Sent.FAILED):
                    self._settle(lane, target, delivery)
                    waits = delays()
                    await self._clock.sleep(lane.pace)
                    if delivery.outcome is Sent.FAILED and delivery.retry_after:
                        await self._clock.sleep(delivery.retry_after)
                    continue
                lane.fault = delivery.detail
                self._put_back(lane, notification)
                await self._clock.sleep(self._pause(delivery, waits))
        finally:
            lane.busy = lane.flying = False

    def _pause(self, delivery: Delivery, waits: Iterator[float]) -> float:
        return max(next(waits), delivery.retry_after or 0.0)

    def _put_back(self, lane: TargetLane, notification: Notification) -> None:
        """Put a notification back in front, merged with what came for the same incident meanwhile."""
        newer = lane.waiting.pop(notification.incident.id, None)
        lane.waiting[notification.incident.id] = self._merged(notification, newer) if newer else notification
        lane.waiting.move_to_end(notification.incident.id, last=False)

    async def _attempt(self, lane: TargetLane, notification: Notification) -> Delivery:
        """Try once: row first, then the far side; after an attempt of unknown outcome ask before repeating."""
        key = (notification.target, notification.incident.id)
        try:
            tried_before = await self._marks.mark_sending(notification.key)
        except LedgerError:
            tried_before = False
        if tried_before:
            found = await self._find(lane, notification)
            if found is not None:
                return found
        thread = self._threads.get(key, "")
        sent: list[Delivery] = []

        async def send() -> None:
            sent.append(await lane.notifier.send(notification, thread))

        done = await self._clock.within(ATTEMPT_LIMIT, send())
        if done and sent:
            return sent[0]
        text = f"no answer within {ATTEMPT_LIMIT:g} s"
        return Delivery(notification.key, notification.target, notification.incident.id, Sent.UNKNOWN, text)

    async def _find(self, lane: TargetLane, notification: Notification) -> Delivery | None:
        found: list[Delivery | None] = []

        async def find() -> None:
            found.append(await lane.notifier.find(notification))

        done = await self._clock.within(ATTEMPT_LIMIT, find())
        if not done:
            text = "the target cannot be asked what it has"
            return Delivery(notification.key, notification.target, notification.incident.id, Sent.RETRY, text)
        return found[0] if found else None

    def _settle(self, lane: TargetLane, target: Target, delivery: Delivery) -> None:
        if delivery.outcome is Sent.SENT:
            lane.sent += 1
            lane.fault = ""
        else:
            lane.failed += 1
            lane.fault = delivery.detail
        if delivery.thread:
            self._threads[(target, delivery.incident)] = delivery.thread
        self._deliver(delivery)
        for each in self._given_way.pop(delivery.key, ()):
            if delivery.duplicate:
                self._enqueue(lane, each)  # what stands there was posted before this one came
            else:
                self._deliver(replace(delivery, key=each.key, detail="told with a newer state"))

    def _deliver(self, delivery: Delivery) -> None:
        self._inbox.put(Delivered(self._clock.now(), delivery))

    async def _act_all(self, ref: ObjectRef) -> None:
        try:
            while self._objects[ref]:
                effect = self._objects[ref][0]
                result = await self._act(effect)
                self.acted += 1
                self._objects[ref].popleft()
                self._inbox.put(ActionFinished(self._clock.now(), effect.request, result))
        finally:
            del self._objects[ref]

    async def _act(self, effect: RunAction) -> ActionResult:
        request = effect.request
        action = self._actions.get(request.action)
        if action is None:
            return ActionResult(Outcome.REFUSED, f"no action is called {request.action}")
        if effect.look:
            return await self._timed(request, action.look(request))
        try:
            await self._marks.mark_executing(request.id)
        except LedgerError as error:
            return ActionResult(Outcome.REFUSED, f"the intent could not be recorded: {error}")
        result = await self._timed(request, action.run(request))
        if result.outcome is Outcome.UNKNOWN:
            found = await self._timed(request, action.look(request))
            return replace(found, detail=f"{result.detail}; looked: {found.detail}")
        return result

    async def _timed(self, request: ActionRequest, work: Awaitable[ActionResult]) -> ActionResult:
        """Run an action within its deadline; a fault in its code, like silence, leaves the outcome unknown."""
        found: list[ActionResult] = []

        async def run() -> None:
            found.append(await work)

        deadline = request.deadline or self._clock.now() + timedelta(seconds=ATTEMPT_LIMIT)
        left = (deadline - self._clock.now()).total_seconds() + ACTION_GRACE
        try:
            done = await self._clock.within(max(ACTION_GRACE, left), run())
        except Exception as error:  # noqa: BLE001 - the second place that may catch all: its extent is unknown
            return ActionResult(Outcome.UNKNOWN, f"{request.action} broke off: {type(error).__name__}")
        return found[0] if done and found else ActionResult(Outcome.UNKNOWN, f"{request.action} did not end in time")

    async def _inspect(self, effect: Inspect) -> None:
        try:
            if self._inspector is not None:
                await self._inspector(effect)
        finally:
            self._inspecting.discard(effect.ref)
