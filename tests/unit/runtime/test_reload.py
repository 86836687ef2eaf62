"""Rule files that change while the daemon runs: all or nothing, and the last good set stands."""

import asyncio
from pathlib import Path

import pytest

from daemon.model.errors import ConfigError, Problem
from daemon.runtime.clock import LoopClock
from daemon.runtime.metrics import ProcessMetrics
from daemon.runtime.reload import EVERY, Files, Reload, fixed_mounts, read
from tests.builders import T0

pytestmark = pytest.mark.looptime


class Bench:
    """A reload with what it adopted and reported."""

    def __init__(self, *places: Path) -> None:
        self.adopted: list[str] = []
        self.reported: list[tuple[Problem, ...]] = []
        self.reload: Reload[str] = Reload(
            places, LoopClock(T0), compile_files=self.compile, adopt=self.adopted.append, report=self.reported.append
        )

    def compile(self, files: Files) -> str:
        text = "|".join(text for _, text in files)
        if "bad" in text:
            raise ConfigError(Problem("it is bad", file=files[0][0], line=1))
        return text


def folder(path: Path, **files: str) -> Path:
    path.mkdir(exist_ok=True)
    for name, text in files.items():
        (path / f"{name}.yaml").write_text(text)
    return path


async def test_a_changed_set_is_adopted_once_it_stands_still(tmp_path):
    bench = Bench(folder(tmp_path / "r", a="one"))
    assert bench.reload.load() == "one"
    folder(tmp_path / "r", a="two", b="three")
    bench.reload.look()
    assert bench.adopted == []
    bench.reload.look()
    bench.reload.look()
    assert bench.adopted == ["two|three"]
    assert bench.reload.reloads == 1


async def test_a_bad_set_is_told_once_and_the_last_good_one_stands(tmp_path):
    bench = Bench(folder(tmp_path / "r", a="one"))
    bench.reload.load()
    folder(tmp_path / "r", a="bad")
    for _ in range(4):
        bench.reload.look()
    assert bench.adopted == []
    assert len(bench.reported) == 1
    assert "it is bad" in str(bench.reload.problems[0])
    folder(tmp_path / "r", a="good")
    for _ in range(2):
        bench.reload.look()
    assert bench.adopted == ["good"]
    assert bench.reported[-1] == ()


async def test_a_set_that_is_bad_from_the_start_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="it is bad"):
        Bench(folder(tmp_path / "r", a="bad")).reload.load()


async def test_a_file_that_cannot_be_read_is_told_and_changes_nothing(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("one")
    bench = Bench(file)
    bench.reload.load()
    file.unlink()
    bench.reload.look()
    assert "cannot be read" in str(bench.reload.problems[0])
    file.write_text("one")
    bench.reload.look()
    assert bench.reload.problems == ()
    assert bench.adopted == []


async def test_text_that_is_no_utf_8_is_told(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="it is not UTF-8 text"):
        read([tmp_path])


async def test_a_mounted_config_map_is_read_through_its_links(tmp_path):
    for version, text in (("..2026_1", "one"), ("..2026_2", "two")):
        folder(tmp_path / version, a=text)
    (tmp_path / "..data").symlink_to("..2026_1")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    bench = Bench(tmp_path)
    assert bench.reload.load() == "one"
    (tmp_path / "..data").unlink()
    (tmp_path / "..data").symlink_to("..2026_2")
    bench.reload.look()
    bench.reload.look()
    assert bench.adopted == ["two"]


async def test_it_looks_again_and_again(tmp_path):
    bench = Bench(folder(tmp_path / "r", a="one"))
    bench.reload.load()
    folder(tmp_path / "r", a="two")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(bench.reload.run(), EVERY * 2 + 1)
    assert bench.adopted == ["two"]


async def test_files_that_the_kubelet_never_updates_are_named(tmp_path):
    folder(tmp_path / "r", a="one", b="two")
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"1 2 0:1 / {tmp_path / 'r' / 'a.yaml'} ro - ext4 x rw\n")
    assert fixed_mounts([tmp_path / "r"], mounts) == (tmp_path / "r" / "a.yaml",)
    mounts.write_text("odd\n")
    assert fixed_mounts([tmp_path / "r"], mounts) == ()
    assert fixed_mounts([tmp_path / "r"], tmp_path / "nothing") == ()


async def test_numbers_become_series_without_names_of_the_cluster():
    metrics = ProcessMetrics(
        {"process": lambda: {"sent_total": 3.0, "inbox-waiting": 2.0}, "world": lambda: {"x": 1.0}}
    )
    text = metrics.text().decode()
    assert "# TYPE fluxmedic_process_sent_total counter" in text
    assert "fluxmedic_process_sent_total 3.0" in text
    assert "# TYPE fluxmedic_process_inbox_waiting gauge" in text
    assert "fluxmedic_world_x 1.0" in text
