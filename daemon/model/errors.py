"""The error tree. Adapters translate a library's errors at their edge, and nowhere else.

    DaemonError
    ├─ ConfigError          settings, rule files, recordings: with the place
    ├─ ClusterError         the API server said no, or nothing
    │  ├─ Unreachable       no answer, a broken answer, 5xx, 429
    │  ├─ Unauthorized      401: the credentials
    │  ├─ Forbidden         403: the rights, or an admission policy
    │  ├─ NotFound          404: the object or the kind
    │  ├─ Conflict          409: a precondition did not hold
    │  ├─ Gone              410: this resource version is too old
    │  └─ Invalid           400, 415, 422: the request itself
    ├─ DeliveryError        a target did not take a message
    └─ LedgerError          the database can't be used

`retry` says whether the same call may succeed later; `after` is the least wait in seconds the far side asked for.
"""

from dataclasses import dataclass


class DaemonError(Exception):
    """Anything we raise on purpose. The text is for people: what failed, for which object, what to do next."""

    retry: bool = False

    def __init__(self, text: str, *, after: float | None = None) -> None:
        """Keep the text and, where the far side asked for it, the least wait in seconds."""
        super().__init__(text)
        self.after = after


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in an input, with its place."""

    text: str
    file: str = ""
    line: int = 0
    column: int = 0
    path: str = ""

    def __str__(self) -> str:
        """Print as file:line:column: path: text, leaving out what is not known."""
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        return ": ".join(part for part in (place, self.path, self.text) if part)


class ConfigError(DaemonError):
    """Settings, rules or a recording are wrong; every problem at once."""

    def __init__(self, *problems: Problem) -> None:
        """Keep the problems in the order they were found."""
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class ClusterError(DaemonError):
    """The API server refused or did not answer. `status` is the HTTP code, 0 when there was none."""

    def __init__(self, text: str, *, status: int = 0, after: float | None = None) -> None:
        """Keep the HTTP status beside the text."""
        super().__init__(text, after=after)
        self.status = status


class Unreachable(ClusterError):
    """No answer, a broken one, 429 or 5xx: worth another try."""

    retry = True


class Unauthorized(ClusterError):
    """401: the credentials are not (or no longer) accepted."""

    retry = True


class Forbidden(ClusterError):
    """403: the right is missing, or an admission policy said no."""


class NotFound(ClusterError):
    """404: no such object, or no such kind."""


class Conflict(ClusterError):
    """409: the object is no longer what the write expected."""


class Gone(ClusterError):
    """410: the resource version or the continue token is too old; list again."""

    retry = True


class Invalid(ClusterError):
    """400, 415 or 422: the request itself is wrong."""


class DeliveryError(DaemonError):
    """A target did not take a message."""

    retry = True


class LedgerError(DaemonError):
    """The database can't be opened, read or written."""


class LedgerInUse(LedgerError):
    """Another fluxmedic has it open."""
