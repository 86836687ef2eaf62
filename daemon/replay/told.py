"""What would have been said and done, as documents: the same lists in a ReplayReport and in a DemoReport."""

from dataclasses import dataclass, field
from datetime import datetime

from daemon.model.documents import Document, ref_document, stamp
from daemon.model.effects import Effect, RunAction, Send
from daemon.model.notices import Notification
from daemon.model.remedies import ActionRequest, Phase, Remediation


@dataclass(slots=True)
class Told:
    """Collects notifications and actions from the effects of steps, in their order."""

    notifications: list[Document] = field(default_factory=list)
    actions: list[Document] = field(default_factory=list)
    _proposed: set[str] = field(default_factory=set)

    def take(self, at: datetime, effects: tuple[Effect, ...]) -> None:
        """Note what these effects of one step say and do."""
        for effect in effects:
            match effect:
                case Send(notification=sent):
                    self._told(sent)
                case RunAction(request=request, look=False):
                    self.actions.append(_acted(at, request))
                case _:
                    pass

    def _told(self, sent: Notification) -> None:
        reason = sent.reason.value
        self.notifications.append(
            {"at": stamp(sent.at), "target": sent.target, "incident": sent.incident.id, "reason": reason}
        )
        plan = sent.incident.remediation
        if plan is not None and plan.phase is Phase.PROPOSED and plan.id not in self._proposed:
            self._proposed.add(plan.id)
            self.actions += [_proposed(sent.at, plan, index) for index in range(len(plan.steps))]


def _acted(at: datetime, request: ActionRequest) -> Document:
    return {
        "at": stamp(at),
        "incident": request.incident,
        "action": request.action,
        "object": ref_document(request.ref),
        "mode": "auto",
        "verdict": "allowed",
    }


def _proposed(at: datetime, plan: Remediation, index: int) -> Document:
    step = plan.steps[index]
    return {
        "at": stamp(at),
        "incident": plan.incident,
        "action": step.action,
        "object": ref_document(step.ref),
        "mode": "proposed",
        "verdict": plan.verdict or "waits for approval",
    }
