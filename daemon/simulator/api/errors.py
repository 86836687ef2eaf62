"""The API server's refusals as Status bodies, with the texts that real clients match on."""

from typing import Any

from daemon.simulator.api.resources import Resource

Json = dict[str, Any]

REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    406: "NotAcceptable",
    409: "Conflict",
    410: "Expired",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}
"""metav1.StatusReason by HTTP code."""


class ApiError(Exception):
    """One refusal. `retry_after` is in whole seconds."""

    def __init__(
        self, code: int, message: str, *, reason: str = "", details: Json | None = None, retry_after: int | None = None
    ) -> None:
        """Keep what the Status body says; the reason follows from the code unless given."""
        super().__init__(message)
        self.code = code
        self.reason = reason or REASONS.get(code, "")
        self.details = details or {}
        self.retry_after = retry_after

    def body(self) -> Json:
        """Return the metav1.Status."""
        details = dict(self.details)
        if self.retry_after is not None:
            details["retryAfterSeconds"] = self.retry_after
        status: Json = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": str(self),
            "reason": self.reason,
            "code": self.code,
        }
        return status | ({"details": details} if details else {})


def _about(resource: Resource, name: str) -> Json:
    details = {"name": name, "kind": resource.plural}
    return details | ({"group": resource.group} if resource.group else {})


def not_found(resource: Resource, name: str) -> ApiError:
    """Return 404 for an object."""
    return ApiError(404, f'{resource.id} "{name}" not found', details=_about(resource, name))


def already_exists(resource: Resource, name: str) -> ApiError:
    """Return 409 for a second create."""
    message = f'{resource.id} "{name}" already exists'
    return ApiError(409, message, reason="AlreadyExists", details=_about(resource, name))


def modified(resource: Resource, name: str) -> ApiError:
    """Return 409 for a stale resourceVersion in a write."""
    why = "the object has been modified; please apply your changes to the latest version and try again"
    return ApiError(
        409, f'Operation cannot be fulfilled on {resource.id} "{name}": {why}', details=_about(resource, name)
    )


def precondition(resource: Resource, name: str, field: str, wanted: str, found: str) -> ApiError:
    """Return 409 for a precondition on uid or resourceVersion that does not hold."""
    why = (
        f"the {field} in the precondition ({wanted}) does not match the {field} in record ({found})."
        " The object might have been modified, or deleted and then recreated"
    )
    return ApiError(
        409, f'Operation cannot be fulfilled on {resource.id} "{name}": {why}', details=_about(resource, name)
    )


def invalid(resource: Resource, name: str, field: str, why: str) -> ApiError:
    """Return 422 for one bad field."""
    details = _about(resource, name) | {
        "kind": resource.kind,
        "causes": [{"reason": "FieldValueInvalid", "message": why, "field": field}],
    }
    who = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    return ApiError(422, f'{who} "{name}" is invalid: {field}: {why}', details=details)


def forbidden(user: str, verb: str, resource: Resource, namespace: str, name: str) -> ApiError:
    """Return 403 as the RBAC authorizer words it."""
    place = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    message = (
        f'{resource.id} "{name}" is forbidden: ' if name else f"{resource.id} is forbidden: "
    ) + f'User "{user}" cannot {verb} resource "{resource.plural}" in API group "{resource.group}" {place}'
    return ApiError(403, message, details=_about(resource, name))


def expired(asked: int, oldest: int) -> ApiError:
    """Return 410 for a resource version outside the window."""
    return ApiError(410, f"too old resource version: {asked} ({oldest})")


def expired_token() -> ApiError:
    """Return 410 for a continue token that is too old."""
    return ApiError(410, "The provided continue parameter is too old to display a consistent list result.")
