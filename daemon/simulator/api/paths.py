"""A request's path to the resource, place and verb it means, pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from daemon.simulator.api.errors import ApiError
from daemon.simulator.api.resources import Resource, Resources

VERBS = {
    ("GET", True): "get",
    ("GET", False): "list",
    ("POST", True): "create",
    ("POST", False): "create",
    ("PUT", True): "update",
    ("PATCH", True): "patch",
    ("DELETE", True): "delete",
    ("DELETE", False): "deletecollection",
}
"""RBAC's verb by method and whether one object is named."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is about. `verb` is RBAC's word; `version` is the one in the path."""

    resource: Resource
    version: str
    namespace: str
    name: str
    subresource: str
    verb: str

    @property
    def right(self) -> str:
        """Return the resource as RBAC writes it: plural[/subresource][.group]."""
        sub = f"/{self.subresource}" if self.subresource else ""
        group = f".{self.resource.group}" if self.resource.group else ""
        return f"{self.resource.plural}{sub}{group}"

    @property
    def api_version(self) -> str:
        """Return group/version as asked for."""
        return f"{self.resource.group}/{self.version}" if self.resource.group else self.version


def parse(method: str, path: str, query: Mapping[str, str], resources: Resources) -> Target:
    """Return what the request means. Raises ApiError 404 for a path that is not served, 405 for a method."""
    parts = [part for part in path.split("/") if part]
    match parts:
        case ["api", "v1", *rest]:
            group, version = "", "v1"
        case ["apis", group, version, *rest]:
            pass
        case _:
            raise ApiError(404, "the server could not find the requested resource")
    namespace = ""
    if rest[:1] == ["namespaces"] and len(rest) > 2 and rest[2] not in ("status", "finalize"):  # noqa: PLR2004 - path parts
        namespace, rest = rest[1], rest[2:]
    plural, name, subresource = [*rest, "", "", ""][:3]
    resource = resources.at(group, version, plural)
    if resource is None:
        raise ApiError(404, "the server could not find the requested resource")
    watching = query.get("watch") in ("1", "true")
    return Target(resource, version, namespace, name, subresource, _verb(method, name, watching=watching))


def _verb(method: str, name: str, *, watching: bool) -> str:
    if method == "GET" and watching and not name:
        return "watch"
    verb = VERBS.get((method, bool(name)))
    if verb is None:
        raise ApiError(405, "the server does not allow this method on the requested resource")
    return verb
