"""Python source as the gates see it: parsed once, with imported names resolved to what they stand for."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """One module: its path from the root (with slashes) and its text."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """Return the parsed module."""
        return ast.parse(self.text, self.path)

    @cached_property
    def imports(self) -> tuple[tuple[int, str], ...]:
        """Return (line, dotted name) of every import, wherever it stands; a relative one is a dot."""
        found = []
        for node in ast.walk(self.tree):
            match node:
                case ast.Import(names=names):
                    found += [(node.lineno, alias.name) for alias in names]
                case ast.ImportFrom(module=module, names=names, level=0):
                    found += [(node.lineno, f"{module}.{alias.name}") for alias in names]
                case ast.ImportFrom():
                    found.append((node.lineno, "."))
        return tuple(found)

    def dotted(self, node: ast.expr) -> str:
        """Return what a name or attribute stands for by this module's imports (`t.now` is `datetime.datetime.now`)."""
        match node:
            case ast.Name(id=name):
                return self._names.get(name, "")
            case ast.Attribute(value=value, attr=attribute):
                owner = self.dotted(value)
                return f"{owner}.{attribute}" if owner else ""
            case ast.Call(func=function):
                called = self.dotted(function)
                return f"{called}()" if called else ""
        return ""

    @cached_property
    def _names(self) -> dict[str, str]:
        """What each imported name stands for; `import a.b` binds `a`, every other form the whole of it."""
        found = {}
        for node in ast.walk(self.tree):
            match node:
                case ast.Import(names=names):
                    for alias in names:
                        first = alias.name.split(".")[0]
                        found[alias.asname or first] = alias.name if alias.asname else first
                case ast.ImportFrom(module=module, names=names, level=0):
                    found |= {alias.asname or alias.name: f"{module}.{alias.name}" for alias in names}
        return found

    def functions(self) -> Iterator[Function]:
        """Yield every function, nested ones too."""
        for node in ast.walk(self.tree):
            if isinstance(node, Function):
                yield node

    def is_under(self, *places: str) -> bool:
        """Say whether this is one of these files, or in one of these folders (which end with a slash)."""
        return any(self.path == place or (place.endswith("/") and self.path.startswith(place)) for place in places)


@cache
def modules(folder: str = "daemon") -> tuple[Source, ...]:
    """Return every module below a folder of the repository."""
    paths = sorted(path for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts)
    return tuple(Source(path.relative_to(ROOT).as_posix(), path.read_text("utf-8")) for path in paths)
