"""The target of last resort: one line a notification, for a daemon that was given no other."""

from collections.abc import Callable

from daemon.model.notices import Delivery, Notification, Sent
from daemon.notify.message import compose


class LogNotifier:
    """The Notifier port over a function that writes a line."""

    def __init__(self, write: Callable[[str], None]) -> None:
        """Write lines with this function."""
        self._write = write

    async def send(self, notification: Notification, thread: str) -> Delivery:
        """Write it."""
        message = compose(notification)
        self._write(f"{notification.reason.value}: {message.title}: {message.cause}")
        return Delivery(
            notification.key, notification.target, notification.incident.id, Sent.SENT, thread=thread or "log"
        )

    async def find(self, notification: Notification) -> Delivery | None:
        """Return None: a line more does no harm."""
        del notification
        return None
