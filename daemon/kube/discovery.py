"""Which version of a kind the cluster serves, and under which path. Never hard-coded: Flux moves between versions.

The answer is kept until a 404 on a served path says that it changed.
"""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Protocol

from daemon.model.errors import NotFound
from daemon.model.ports import Json


@dataclass(frozen=True, slots=True)
class Served:
    """One kind as this cluster serves it."""

    group: str
    version: str
    plural: str
    namespaced: bool

    def path(self, namespace: str = "", name: str = "") -> str:
        """Return the path of the collection, or of one object."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        where = f"/namespaces/{namespace}" if namespace and self.namespaced else ""
        return f"{root}{where}/{self.plural}" + (f"/{name}" if name else "")


class Read(Protocol):
    """How a path is read."""

    def __call__(self, path: str, what: str) -> Awaitable[Json]:
        """Return the JSON at a path."""
        ...


class Discovery:
    """Asks once a group and remembers."""

    def __init__(self, read: Read) -> None:
        """Read through this."""
        self._read = read
        self._kinds: dict[tuple[str, str], Served] = {}

    async def find(self, group: str, kind: str) -> Served:
        """Return how a kind is served. Raises NotFound when this cluster does not have it."""
        known = self._kinds.get((group, kind))
        if known is None:
            await self._ask(group)
            known = self._kinds.get((group, kind))
        if known is None:
            raise NotFound(f"kind {kind} of {group or 'the core group'} is not installed in this cluster", status=404)
        return known

    def forget(self, group: str) -> None:
        """Ask again about a group the next time: something of it was not where it had been."""
        for key in [key for key in self._kinds if key[0] == group]:
            del self._kinds[key]

    async def _ask(self, group: str) -> None:
        for version in await self._versions(group):
            path = f"/apis/{group}/{version}" if group else f"/api/{version}"
            found = await self._read(path, f"discover {group or 'core'}/{version}")
            for item in _items(found.get("resources")):
                name, kind = str(item.get("name", "")), str(item.get("kind", ""))
                if "/" not in name:
                    served = Served(group, version, name, item.get("namespaced") is True)
                    self._kinds.setdefault((group, kind), served)

    async def _versions(self, group: str) -> list[str]:
        """Return the served versions of a group, the preferred one first."""
        if not group:
            return ["v1"]
        try:
            found = await self._read(f"/apis/{group}", f"discover {group}")
        except NotFound:
            return []
        preferred = found.get("preferredVersion")
        first = str(preferred.get("version", "")) if isinstance(preferred, Mapping) else ""
        versions = [str(item.get("version", "")) for item in _items(found.get("versions"))]
        return sorted(versions, key=lambda version: version != first)


def _items(value: object) -> list[Mapping[str, object]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
