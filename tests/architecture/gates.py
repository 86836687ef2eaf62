"""What the project's own source must keep to. Each gate takes modules and returns a line for each violation."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping

from tests.architecture.source import Source

LONGEST_FILE = 500
LONGEST_FUNCTION = 60
USUAL_FUNCTION = 35
USUAL_SHARE = 0.9
WIRING = "daemon/app.py"

BANNED_MODULES = frozenset({"utils", "util", "helpers", "helper", "common", "misc", "base"})
BANNED_CLASS = re.compile(r"(Manager|Helper|Utils?)$")

CLOCK = "daemon/runtime/clock.py"
TIME_READERS = frozenset(
    {
        "datetime.datetime.now",
        "datetime.datetime.utcnow",
        "datetime.datetime.today",
        "datetime.date.today",
        "asyncio.get_running_loop().time",
        "asyncio.get_event_loop().time",
    }
)
STARTER = "daemon/runtime/supervise.py"
STARTERS = frozenset(
    {"asyncio.create_task", "asyncio.ensure_future", "asyncio.TaskGroup", "asyncio.Task", "threading.Thread"}
)
LIBRARIES: Mapping[str, tuple[str, ...]] = {
    "sqlalchemy": ("daemon/runtime/ledger.py", "daemon/runtime/ledger_tables.py", "daemon/runtime/migrations/"),
    "alembic": ("daemon/runtime/ledger.py", "daemon/runtime/migrations/"),
    "aiosqlite": ("daemon/runtime/ledger.py", "daemon/runtime/migrations/"),
    "sqlite3": ("daemon/runtime/ledger.py", "daemon/runtime/migrations/"),
    "asyncpg": ("daemon/runtime/ledger.py", "daemon/runtime/migrations/"),
    "apscheduler": ("daemon/sources/schedule.py",),
    "slack_sdk": ("daemon/notify/slack.py",),
    "jinja2": ("daemon/rules/template.py", "daemon/rules/hole.py"),
    "cel_expr_python": ("daemon/rules/expression.py",),
    "kubernetes_asyncio": ("daemon/kube/",),
}
"""Each library with the only places that may import it."""


def long_files(sources: Iterable[Source]) -> list[str]:
    """Find files above the wall."""
    lengths = [(source.path, len(source.text.splitlines())) for source in sources]
    return [f"{path}: {length} lines" for path, length in lengths if length > LONGEST_FILE]


def function_lengths(sources: Iterable[Source]) -> dict[str, int]:
    """Return the lines of every function from its `def` to its end, by file:line name."""
    return {
        f"{source.path}:{node.lineno} {node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for source in sources
        for node in source.functions()
    }


def long_functions(sources: Iterable[Source]) -> list[str]:
    """Find functions above the wall; the wiring alone may be longer."""
    lengths = function_lengths(source for source in sources if source.path != WIRING)
    return [f"{name}: {length} lines" for name, length in lengths.items() if length > LONGEST_FUNCTION]


def usual_share(sources: Iterable[Source]) -> float:
    """Return which share of the functions is shorter than the usual length, 0 to 1."""
    lengths = list(function_lengths(sources).values())
    return sum(length < USUAL_FUNCTION for length in lengths) / len(lengths)


def banned_names(sources: Iterable[Source]) -> list[str]:
    """Find modules, packages and classes whose name says nothing."""
    found = []
    for source in sources:
        parts = source.path.removesuffix(".py").split("/")
        found += [f"{source.path}: {part}" for part in parts if part in BANNED_MODULES or "manager" in part]
        names = [node.name for node in ast.walk(source.tree) if isinstance(node, ast.ClassDef)]
        found += [f"{source.path}: class {name}" for name in names if BANNED_CLASS.search(name)]
    return found


def without_docstring(sources: Iterable[Source]) -> list[str]:
    """Find modules, and public functions, classes and methods, that do not say what they are."""
    found = []
    for source in sources:
        if not ast.get_docstring(source.tree):
            found.append(f"{source.path}: the module")
        found += [f"{source.path}:{node.lineno} {node.name}" for node in _public(source.tree)]
    return found


def _public(scope: ast.Module | ast.ClassDef) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield what is public in a scope and has no docstring. A function's inside is nobody's business."""
    for node in scope.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            if not ast.get_docstring(node):
                yield node
            if isinstance(node, ast.ClassDef):
                yield from _public(node)


def time_readers(sources: Iterable[Source]) -> list[str]:
    """Find whoever reads the time, or sleeps by the machine's, beside the clock."""
    found = []
    for source in sources:
        if source.path == CLOCK:
            continue
        found += [f"{source.path}:{line} {name}" for line, name in source.imports if name.split(".")[0] == "time"]
        found += [f"{source.path}:{line} {name}" for line, name in _uses(source, TIME_READERS)]
        found += [f"{source.path}:{line} asyncio.sleep" for line in _sleeps(source)]
    return found


def _sleeps(source: Source) -> Iterator[int]:
    """Yield where real time is slept away; `sleep(0)` only lets others run."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and source.dotted(node.func) == "asyncio.sleep":
            match node.args:
                case [ast.Constant(value=0)]:
                    pass
                case _:
                    yield node.lineno


def task_starters(sources: Iterable[Source]) -> list[str]:
    """Find whoever starts a task or a thread beside the supervisor."""
    found = []
    for source in sources:
        if source.path == STARTER:
            continue
        found += [f"{source.path}:{line} {name}" for line, name in _uses(source, STARTERS)]
        for node in ast.walk(source.tree):
            if not isinstance(node, ast.Attribute) or node.attr != "create_task":
                continue
            if source.dotted(node) not in STARTERS:
                found.append(f"{source.path}:{node.lineno} create_task")
    return found


def _uses(source: Source, names: frozenset[str]) -> Iterator[tuple[int, str]]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Name | ast.Attribute) and (name := source.dotted(node)) in names:
            yield node.lineno, name


def foreign_imports(sources: Iterable[Source], library: str) -> list[str]:
    """Find imports of a library outside the places that own it."""
    owners = LIBRARIES[library]
    return [
        f"{source.path}:{line} {name}"
        for source in sources
        if not source.is_under(*owners)
        for line, name in source.imports
        if name.split(".")[0] == library
    ]


def relative_imports(sources: Iterable[Source]) -> list[str]:
    """Find imports by dots: they would hide from the gates above."""
    return [f"{source.path}:{line}" for source in sources for line, name in source.imports if name == "."]


def settings_readers(sources: Iterable[Source]) -> list[str]:
    """Find who is not handed its settings: they stand in no layer of the import contracts."""
    return [
        f"{source.path}:{line} {name}"
        for source in sources
        if not source.is_under(WIRING, "daemon/cli/")
        for line, name in source.imports
        if f"{name}.".startswith("daemon.settings.")
    ]
