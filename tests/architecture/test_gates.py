"""The gates over the source of the daemon, each shown to bite."""

import pytest

from tests.architecture import gates
from tests.architecture.source import Source, modules


def planted(text: str, path: str = "daemon/engine/planted.py") -> list[Source]:
    return [Source(path, text)]


def function(lines: int) -> str:
    return "def f():\n" + "    x = 1\n" * (lines - 1)


def test_the_gates_see_the_whole_package():
    seen = {source.path for source in modules()}
    assert {"daemon/app.py", gates.CLOCK, gates.STARTER} <= seen
    assert len(seen) > 100
    owned = {place for places in gates.LIBRARIES.values() for place in places}
    assert all(any(path == place or path.startswith(place) for path in seen) for place in owned)


def test_no_file_is_above_the_wall():
    assert gates.long_files(modules()) == []


def test_a_file_above_the_wall_is_found():
    assert gates.long_files(planted("x = 1\n" * 500)) == []
    assert gates.long_files(planted("x = 1\n" * 501)) == ["daemon/engine/planted.py: 501 lines"]


def test_no_function_is_above_the_wall():
    assert gates.long_functions(modules()) == []


def test_a_function_above_the_wall_is_found_unless_it_is_the_wiring():
    assert gates.long_functions(planted(function(60))) == []
    assert gates.long_functions(planted(function(61))) == ["daemon/engine/planted.py:1 f: 61 lines"]
    assert gates.long_functions(planted(function(61), gates.WIRING)) == []
    nested = "class A:\n    def f(self):\n        def g():\n" + "            x = 1\n" * 61
    assert len(gates.long_functions(planted(nested))) == 2


def test_nine_functions_in_ten_are_short():
    assert gates.usual_share(modules()) >= gates.USUAL_SHARE


def test_the_share_of_short_functions_is_counted():
    assert gates.usual_share(planted(function(34))) == 1.0
    assert gates.usual_share(planted(function(35))) == 0.0
    assert gates.usual_share(planted(function(34) + function(35))) == 0.5


def test_no_name_says_nothing():
    assert gates.banned_names([*modules(), *modules("tests")]) == []


@pytest.mark.parametrize("name", ["utils", "helpers", "common", "misc", "base", "connection_manager", "managers"])
def test_a_module_or_package_whose_name_says_nothing_is_found(name):
    assert gates.banned_names(planted("", f"daemon/{name}.py"))
    assert gates.banned_names(planted("", f"daemon/{name}/thing.py"))


@pytest.mark.parametrize("name", ["LaneManager", "RuleHelper"])
def test_a_class_whose_name_says_nothing_is_found(name):
    assert gates.banned_names(planted(f"class {name}:\n    pass\n")) == [f"daemon/engine/planted.py: class {name}"]


def test_everything_public_says_what_it_is():
    assert gates.without_docstring(modules()) == []


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("x = 1\n", ["daemon/engine/planted.py: the module"]),
        ('"""M."""\ndef f(): ...\n', ["daemon/engine/planted.py:2 f"]),
        ('"""M."""\nasync def f(): ...\n', ["daemon/engine/planted.py:2 f"]),
        ('"""M."""\nclass A:\n    x = 1\n', ["daemon/engine/planted.py:2 A"]),
        ('"""M."""\nclass A:\n    """A."""\n    def f(self): ...\n', ["daemon/engine/planted.py:4 f"]),
        ('"""M."""\ndef _f(): ...\nclass _A:\n    def f(self): ...\n', []),
        ('"""M."""\ndef f():\n    """F."""\n    def g(): ...\n', []),
    ],
)
def test_a_missing_docstring_is_found(text, missing):
    assert gates.without_docstring(planted(text)) == missing


def test_one_module_reads_the_time():
    assert gates.time_readers(modules()) == []


@pytest.mark.parametrize(
    "text",
    [
        "import time\n",
        "import time as t\n",
        "from time import monotonic\n",
        "def f():\n    import time\n",
        "from datetime import datetime\ndatetime.now()\n",
        "from datetime import datetime as d\nd.utcnow()\n",
        "import datetime\ndatetime.datetime.now()\n",
        "import datetime as d\nd.datetime.today()\n",
        "from datetime import date\nread = date.today\n",
        "import asyncio\nasyncio.get_running_loop().time()\n",
        "import asyncio\nasync def f():\n    await asyncio.sleep(1)\n",
        "from asyncio import sleep\nasync def f(n):\n    await sleep(n)\n",
    ],
)
def test_another_reader_of_time_is_found(text):
    assert gates.time_readers(planted(text))
    assert gates.time_readers(planted(text, gates.CLOCK)) == []


@pytest.mark.parametrize(
    "text",
    [
        "from datetime import datetime\ndatetime.fromisoformat('x')\n",
        "from datetime import time\ntime(3, 0)\n",
        "clock.now()\nclock.time.now()\n",
        "import asyncio\nasync def f():\n    await asyncio.sleep(0)\n",
    ],
)
def test_what_does_not_read_the_time_is_let_pass(text):
    assert gates.time_readers(planted(text)) == []


def test_one_module_starts_tasks():
    assert gates.task_starters(modules()) == []


@pytest.mark.parametrize(
    "text",
    [
        "import asyncio\nasyncio.create_task(f())\n",
        "import asyncio as a\na.ensure_future(f())\n",
        "from asyncio import create_task as go\ngo(f())\n",
        "from asyncio import TaskGroup\nTaskGroup()\n",
        "import asyncio\nasyncio.get_running_loop().create_task(f())\n",
        "group.create_task(f())\n",
        "from threading import Thread\nThread(target=f)\n",
    ],
)
def test_another_starter_of_tasks_is_found(text):
    assert gates.task_starters(planted(text))
    assert gates.task_starters(planted(text, gates.STARTER)) == []


@pytest.mark.parametrize("library", gates.LIBRARIES)
def test_each_library_has_one_place(library):
    assert gates.foreign_imports(modules(), library) == []


@pytest.mark.parametrize("library", gates.LIBRARIES)
@pytest.mark.parametrize(
    "line", ["import {}", "import {}.x as y", "from {} import x", "def f():\n    from {}.x import y"]
)
def test_a_library_outside_its_place_is_found(library, line):
    assert gates.foreign_imports(planted(line.format(library)), library)
    owner = gates.LIBRARIES[library][0]
    path = f"{owner}x.py" if owner.endswith("/") else owner
    assert gates.foreign_imports(planted(line.format(library), path), library) == []


def test_a_file_beside_an_owner_is_no_owner():
    assert gates.foreign_imports(planted("import jinja2", "daemon/rules/template_extra.py"), "jinja2")


def test_no_import_hides_behind_dots():
    assert gates.relative_imports(modules()) == []
    assert gates.relative_imports(planted("from . import clock\n"))
    assert gates.relative_imports(planted("from ..runtime import clock\n"))


def test_only_the_wiring_and_the_command_line_know_the_settings():
    assert gates.settings_readers(modules()) == []


@pytest.mark.parametrize(
    "line", ["import daemon.settings", "from daemon import settings", "from daemon.settings import load"]
)
def test_another_reader_of_settings_is_found(line):
    assert gates.settings_readers(planted(line))
    assert gates.settings_readers(planted(line, "daemon/cli/planted.py")) == []
