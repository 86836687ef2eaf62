"""The harness of the cluster stories: what it says when something lacks or dies, and that it leaves nothing behind."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.cluster.build import BuildError, build
from tests.cluster.eventually import eventually, never
from tests.cluster.process import Process, ProcessError, free_port
from tests.cluster.versions import HERE, tools

GO, TOOLS = tools()


def program(name: str, text: str, folder: Path) -> Process:
    return Process(name, [sys.executable, "-c", text], folder / f"{name}.log")


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_program_that_dies_before_it_is_ready_is_told_with_the_end_of_its_log(tmp_path):
    process = program("etcd", "print('no space left'); raise SystemExit(7)", tmp_path)
    process.start()
    with pytest.raises(ProcessError, match=r"etcd ended with 7 before it answered\nno space left"):
        process.wait_until(lambda: False, 30, "it answered")


def test_a_program_that_is_never_ready_is_told_with_the_end_of_its_log(tmp_path):
    process = program("etcd", "import time; print('waiting', flush=True); time.sleep(60)", tmp_path)
    process.start()
    try:
        with pytest.raises(ProcessError, match=r"etcd: no answer within 0.5 s"):
            process.wait_until(lambda: False, 0.5, "answer")
    finally:
        assert process.stop() == -15


def test_a_program_that_is_not_there_is_told(tmp_path):
    process = Process("etcd", [str(tmp_path / "none")], tmp_path / "etcd.log")
    with pytest.raises(ProcessError, match="etcd cannot be started"):
        process.start()


def test_a_program_is_stopped_with_all_that_it_started(tmp_path):
    text = "import subprocess, sys, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
    process = program("shell", text, tmp_path)
    process.start()
    process.wait_until(lambda: process.tail().strip().isdigit(), 30, "child")
    child = int(process.tail())
    process.kill()
    for _ in range(100):
        if gone(child):
            break
        time.sleep(0.05)
    assert gone(child)


def test_a_program_dies_with_the_one_that_started_it_however_that_ends(tmp_path):
    text = (
        "import sys, time; from pathlib import Path; from tests.cluster.process import Process;"
        f"p = Process('x', ['sleep', '60'], Path({str(tmp_path)!r}) / 'x.log'); p.start();"
        "print(p.running.pid, flush=True); time.sleep(60)"
    )
    starter = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True, cwd=HERE.parents[1])
    assert starter.stdout is not None
    with starter.stdout:
        child = int(starter.stdout.readline())
    starter.kill()
    starter.wait()
    for _ in range(100):
        if gone(child):
            break
        time.sleep(0.05)
    assert gone(child)


def test_without_go_a_person_is_told_what_is_needed(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match="Go is not on the PATH"):
        build()


def test_a_build_that_fails_is_told_with_the_compilers_words_and_leaves_nothing_half(monkeypatch, tmp_path):
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.write_text("#!/bin/sh\necho 'undefined: everything' >&2\nexit 1\n")
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{go.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("CLUSTER_TEST_TOOLS", str(tmp_path / "tools"))
    with pytest.raises(BuildError, match=r"etcd v.* cannot be built: go build ended with 1\nundefined: everything"):
        build()
    assert [path.name for path in (tmp_path / "tools").iterdir()] == ["lock"]


def test_what_is_built_once_is_not_built_again(monkeypatch, tmp_path):
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    module = tmp_path / "module" / "config" / "crd" / "bases"
    module.mkdir(parents=True)
    (module / "kind.yaml").write_text("kind: CustomResourceDefinition\n")
    go.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n'
        f'[ "$1" = list ] && echo {tmp_path / "module"} && exit 0\n'
        'while [ "$1" != "-o" ]; do shift; done; echo made > "$2"\n'
    )
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{go.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("CLUSTER_TEST_TOOLS", str(tmp_path / "tools"))
    first = build()
    calls = (tmp_path / "calls").read_text()
    assert build() == first
    assert (tmp_path / "calls").read_text() == calls
    assert all(path.read_text() == "made\n" for path in first.programs.values())
    assert len(first.crds) == sum(tool.crds for tool in TOOLS)


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_every_tool_is_pinned_at_the_version_that_the_one_file_names(tool):
    pinned = (tool.folder / "go.mod").read_text()
    assert f"{tool.module} {tool.version}" in pinned
    assert f"go {GO}" in pinned
    sums = (tool.folder / "go.sum").read_text()
    assert f"{tool.module} {tool.version} h1:" in sums
    for path, version in tool.replace.items():
        assert f"replace {path} => {path} {version}" in pinned
    assert "https:" not in pinned


def test_the_stages_of_nodes_and_pods_are_well_formed():
    stages = [each for each in yaml.safe_load_all((HERE / "stages.yaml").read_text()) if each]
    assert {each["kind"] for each in stages} == {"Stage"}
    assert len({each["metadata"]["name"] for each in stages}) == len(stages)


def test_a_free_port_can_be_listened_at():
    assert 1024 < free_port() < 65536


async def test_waiting_ends_with_what_was_last_seen():
    async def look() -> str:
        return "still red"

    with pytest.raises(AssertionError, match="waited 0 s for green; last seen: still red"):
        await eventually("green", look, lambda seen: seen == "green", within=0)


async def test_what_must_not_be_ends_the_waiting_at_once():
    async def look() -> str:
        return "red"

    with pytest.raises(AssertionError, match="it is red, which must not be: red"):
        await never("it is red", look, lambda seen: seen == "red", for_seconds=60)
