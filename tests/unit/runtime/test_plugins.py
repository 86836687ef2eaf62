"""Plug-ins: found by their constant, never by registering themselves; what is wrong is all told at once."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

import daemon.actions
from daemon.actions.plugin import Plugin
from daemon.model.errors import ConfigError
from daemon.runtime.plugins import discover


def package(tmp_path: Path, name: str, **modules: str) -> ModuleType:
    place = tmp_path / name
    place.mkdir()
    (place / "__init__.py").touch()
    for module, text in modules.items():
        (place / f"{module}.py").write_text(text)
    sys.path.insert(0, str(tmp_path))
    try:
        return __import__(name)
    finally:
        sys.path.remove(str(tmp_path))


GOOD = "from daemon.actions.plugin import Plugin\nPLUGIN = Plugin('NAME', (), lambda cluster, clock: None)\n"


def test_every_shipped_action_is_found_by_its_name():
    assert set(discover(daemon.actions, Plugin)) == {"reconcile", "delete-release"}


def test_modules_without_a_plug_in_and_names_taken_twice_are_all_told(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    found = package(
        tmp_path, "odd_plugins", a=GOOD, b=GOOD, c="PLUGIN = 3\n", d="", _hidden="raise RuntimeError\n", plugin=""
    )
    with pytest.raises(ConfigError) as caught:
        discover(found, Plugin)
    text = str(caught.value)
    assert "odd_plugins.b: its name 'NAME' is already taken by odd_plugins.a" in text
    assert "odd_plugins.c: has no constant PLUGIN of type Plugin" in text
    assert "odd_plugins.d: has no constant PLUGIN of type Plugin" in text


def test_what_is_found_cannot_be_changed():
    with pytest.raises(TypeError):
        discover(daemon.actions, Plugin)["x"] = None  # type: ignore[index]
