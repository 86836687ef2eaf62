"""Each import contract of pyproject.toml, broken on purpose in a copy of the package."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.architecture.source import ROOT

LINT = Path(sys.executable).parent / "lint-imports"
LAYERS = "Imports go down only"
PURE = "The core is pure"
PLAIN = "Model, flux and engine know no schema and no YAML library"
ADAPTERS = "Adapters do not know rules or the engine"
AWAY = "Runtime, notify, web and replay do not know the cluster"
SIMULATED = "The simulator knows of ours only model and flux"
KUBE = "kube knows nothing of Flux"
PLANTS = [
    (LAYERS, "model", "import daemon.flux.kinds", {LAYERS}),
    (LAYERS, "flux", "import daemon.rules.ruleset", {LAYERS}),
    (LAYERS, "rules", "import daemon.engine.step", {LAYERS}),
    (LAYERS, "engine", "import daemon.replay.told", {LAYERS}),
    (LAYERS, "runtime", "import daemon.sources.objects", {LAYERS, AWAY}),
    (LAYERS, "web", "import daemon.notify.message", {LAYERS}),
    (LAYERS, "replay", "import daemon.cli.output", {LAYERS}),
    (PURE, "model", "import asyncio", {PURE}),
    (PURE, "flux", "import logging", {PURE}),
    (PURE, "rules", "import os", {PURE}),
    (PURE, "engine", "from time import monotonic", {PURE}),
    (PURE, "replay", "import random", {PURE}),
    (PLAIN, "model", "import pydantic", {PLAIN}),
    (PLAIN, "flux", "import yaml", {PLAIN}),
    (PLAIN, "engine", "def later() -> None:\n    import jinja2", {PLAIN}),
    (ADAPTERS, "notify", "import daemon.rules.ruleset", {ADAPTERS}),
    (ADAPTERS, "web", "from daemon.engine.world import World", {ADAPTERS}),
    (AWAY, "runtime", "import daemon.kube.client", {AWAY}),
    (AWAY, "notify", "import kubernetes_asyncio", {AWAY}),
    (SIMULATED, "simulator", "import daemon.kube.client", {SIMULATED}),
    (KUBE, "kube", "import daemon.flux.kinds", {KUBE}),
]
"""The contract, the package that breaks it, with which line, and every contract that this breaks."""


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """Copy the package and its contracts, without anything that was compiled."""
    folder = tmp_path_factory.mktemp("contracts")
    shutil.copytree(ROOT / "daemon", folder / "daemon", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def broken(folder: Path) -> set[str]:
    """Return the names of the contracts that do not hold in a folder."""
    done = subprocess.run(
        [LINT, "--no-cache", "--no-logo"], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    names = {line.removesuffix(" BROKEN") for line in done.stdout.splitlines() if line.endswith(" BROKEN")}
    assert done.returncode == int(bool(names)), done.stdout + done.stderr
    assert "KEPT" in done.stdout, done.stdout + done.stderr
    return names


def test_every_contract_holds(copy):
    assert broken(copy) == set()


def test_every_contract_has_a_plant():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert {contract["name"] for contract in contracts} == {name for name, *_ in PLANTS}


@pytest.mark.parametrize(("contract", "package", "line", "all_broken"), PLANTS)
def test_a_forbidden_import_breaks_its_contract(copy, contract, package, line, all_broken):
    plant = copy / "daemon" / package / "planted.py"
    plant.write_text(line + "\n")
    try:
        found = broken(copy)
    finally:
        plant.unlink()
    assert contract in found
    assert found == all_broken


def test_every_package_is_in_a_layer():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    placed = {name.strip() for layer in layers for name in layer.replace("|", ":").split(":")}
    packages = {f"daemon.{path.parent.name}" for path in (ROOT / "daemon").glob("*/__init__.py")}
    assert packages <= placed
    assert placed - packages == {"daemon.app"}
