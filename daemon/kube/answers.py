"""What the API server's answers mean: status codes and Status bodies to the error tree, with what to do next."""

from collections.abc import Mapping

import orjson

from daemon.model.errors import (
    ClusterError,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    Unauthorized,
    Unreachable,
)

WORDS = 300
"""Characters of the server's own message that are kept."""

BY_STATUS: Mapping[int, tuple[type[ClusterError], str]] = {
    400: (Invalid, "the request is wrong"),
    401: (Unauthorized, "the credentials are not accepted; check the service account or the kubeconfig"),
    403: (Forbidden, "the right is missing, or an admission policy refuses; run fluxmedic check"),
    404: (NotFound, "there is no such object or kind"),
    409: (Conflict, "the object changed meanwhile"),
    410: (Gone, "that version is too old; it must be listed again"),
    415: (Invalid, "the content type is not accepted"),
    422: (Invalid, "the object is not valid"),
}


def error_of(status: int, what: str, body: bytes, headers: Mapping[str, str]) -> ClusterError:
    """Return the error that an answer stands for; `what` names the verb and the object."""
    kind, advice = BY_STATUS.get(status, (Unreachable, "the API server cannot answer now; it is tried again"))
    said = message_of(body)
    text = f"{what}: HTTP {status}: {said or advice}" + (f" ({advice})" if said else "")
    return kind(text, status=status, after=_after(headers))


def status_error(status: Mapping[str, object], what: str) -> ClusterError:
    """Return the error that an ERROR object in a watch stands for."""
    code = status.get("code")
    return error_of(code if isinstance(code, int) else 500, what, orjson.dumps(dict(status)), {})


def message_of(body: bytes) -> str:
    """Return the message of a Status body, cut; empty when the body is none."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    message = parsed.get("message") if isinstance(parsed, dict) else None
    return message[:WORDS] if isinstance(message, str) else ""


def _after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a Retry-After header."""
    value = headers.get("Retry-After", "")
    return float(value) if value.replace(".", "", 1).isdecimal() else None
