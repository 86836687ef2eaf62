"""Finds the one constant, PLUGIN, that each plug-in file of a package exports.

Nothing registers itself on import; what is found is an immutable mapping that is passed by constructor.
"""

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType, ModuleType
from typing import Protocol, TypeVar

from daemon.model.errors import ConfigError, Problem


class Named(Protocol):
    """What every plug-in has."""

    @property
    def name(self) -> str:
        """Return the name it is asked for by."""
        ...


PluginT = TypeVar("PluginT", bound=Named)


def discover(
    package: ModuleType, kind: type[PluginT], *, besides: frozenset[str] = frozenset({"plugin"})
) -> Mapping[str, PluginT]:
    """Return name to PLUGIN of every module of a package but those `besides`; they carry what plug-ins share.

    Raises ConfigError naming every module without a PLUGIN of this kind and every name that two modules claim.
    """
    found: dict[str, PluginT] = {}
    homes: dict[str, str] = {}
    problems: list[Problem] = []
    for info in sorted(iter_modules(package.__path__), key=lambda each: each.name):
        if info.name in besides or info.name.startswith("_"):
            continue
        module = f"{package.__name__}.{info.name}"
        plugin = getattr(import_module(module), "PLUGIN", None)
        if not isinstance(plugin, kind):
            problems.append(Problem(f"has no constant PLUGIN of type {kind.__name__}", file=module))
        elif plugin.name in found:
            problems.append(Problem(f"its name {plugin.name!r} is already taken by {homes[plugin.name]}", file=module))
        else:
            found[plugin.name], homes[plugin.name] = plugin, module
    if problems:
        raise ConfigError(*problems)
    return MappingProxyType(found)
