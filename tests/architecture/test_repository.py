"""What is committed carries no address and no path of one machine, and what the documents tell people to do works."""

import pytest

from tests.architecture import repository
from tests.architecture.source import ROOT

MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
HASH = "--hash=sha256:" + "0" * 64


@pytest.fixture(scope="module")
def texts():
    """Return what is committed; a tree without git cannot be asked."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    return repository.committed(ROOT)


def block(*lines: str, language: str = "sh") -> str:
    return "\n".join(["text", "", f"```{language}", *lines, "```", ""])


def test_the_checkout_is_seen(texts):
    assert {"README.md", "Makefile", "daemon/app.py", "deploy/requirements.txt"} <= set(texts)


def test_a_folder_without_git_has_nothing_committed(tmp_path):
    assert repository.committed(tmp_path) == {}


def test_no_file_names_a_registry(texts):
    assert repository.lines_with(repository.REGISTRY, texts) == []


@pytest.mark.parametrize(
    "parts",
    [
        ("--index", "-url x"),
        ("--extra-index", "-url x"),
        ("index", "_url = x"),
        ("https://", "pypi.org/simple"),
        ("https://mirror.", "pypi.example/simple"),
        ("https://files.", "pythonhosted.org/x.whl"),
        ("PIP_", "INDEX", "_URL=x"),
    ],
)
def test_the_address_of_a_registry_is_found(parts):
    line = "".join(parts)
    assert repository.lines_with(repository.REGISTRY, {"a": f"one\n {line}\n"}) == [f"a:2 {line}"]


def test_a_flag_that_leaves_addresses_out_is_none():
    assert repository.lines_with(repository.REGISTRY, {"a": "uv pip compile --no-emit-index-url"}) == []


def test_no_lock_of_a_resolver_is_committed(texts):
    names = {name.rpartition("/")[2] for name in texts}
    assert names.isdisjoint({"uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock"})


def test_no_file_names_a_path_of_one_machine(texts):
    assert repository.lines_with(repository.MACHINE, texts) == []


@pytest.mark.parametrize("parts", [("/", "work/main"), ("/", "home/me"), ("/", "Users/me"), ("x=/", "root/.kube")])
def test_a_path_of_one_machine_is_found(parts):
    assert repository.lines_with(repository.MACHINE, {"a": f"cd {''.join(parts)}"})


def test_a_relative_path_is_no_path_of_one_machine():
    assert repository.lines_with(repository.MACHINE, {"a": " ".join(f"{before}/{'work'}/x" for before in ".~a")}) == []


def test_every_requirement_is_pinned_by_hash(texts):
    locks = [name for name in texts if name.rpartition("/")[2].startswith("requirements")]
    assert len(locks) >= 3
    assert repository.unpinned(texts) == []


def test_a_requirement_with_its_hashes_is_pinned():
    text = f"# why\na-b.c==1.2.post1 ; python_version < '3.12' \\\n    {HASH} \\\n    {HASH}\nd[e]==1 {HASH}\n"
    assert repository.unpinned({"deploy/requirements-x.txt": text}) == []


@pytest.mark.parametrize("line", ["a", "a==1", f"a>=1 {HASH}", "a==1 --hash=sha256:0", "-r other.txt", "-e ."])
def test_a_requirement_without_version_or_hash_is_found(line):
    assert repository.unpinned({"deploy/requirements.txt": f"{line}\n"}) == [f"deploy/requirements.txt: {line}"]


def test_every_target_in_the_documents_is_in_the_makefile(texts):
    found = [each for _, text in repository.documents(texts) for each in repository.unknown_targets(text, MAKEFILE)]
    assert found == []


def test_an_unknown_target_is_found():
    text = block(
        "make demo DEMO='--no-web'", "$ make nothing  # why", "make -j2 test && make clean", language="console"
    )
    assert repository.unknown_targets(text, MAKEFILE) == ["make nothing"]
    assert repository.unknown_targets(block("make nothing", language="yaml"), MAKEFILE) == []


def test_every_command_in_the_documents_exists(texts):
    found = [each for _, text in repository.documents(texts) for each in repository.unknown_commands(text)]
    assert found == []


def test_an_unknown_command_or_flag_is_found():
    text = block(
        "$ fluxmedic version",
        ".venv/bin/fluxmedic demo --speed 4 | cat",
        "fluxmedic rules test --nothing",
        "fluxmedic rules nothing",
        "fluxmedic nothing",
    )
    assert repository.unknown_commands(text) == [
        "fluxmedic rules test --nothing",
        "fluxmedic rules nothing",
        "fluxmedic nothing",
    ]


def test_every_link_in_the_documents_leads_somewhere(texts):
    found = [each for name, text in repository.documents(texts) for each in repository.broken_links(name, text, ROOT)]
    assert found == []


def test_a_link_to_nothing_is_found(tmp_path):
    (tmp_path / "there.md").write_text("x")
    text = "[a](there.md#x) [b](#x) [c](https://example.com/x) [d](gone.md) ![e](/there.md) [f](../gone.md)"
    assert repository.broken_links("README.md", text, tmp_path) == ["README.md: gone.md", "README.md: ../gone.md"]
