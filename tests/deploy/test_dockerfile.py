"""The image, by its text: nothing here has a container builder."""

import re

import pytest


@pytest.fixture(scope="module")
def dockerfile(manifests) -> str:
    text = (manifests.root / "Dockerfile").read_text()
    return re.sub(r"\\\n\s*", " ", text)


@pytest.fixture(scope="module")
def stages(dockerfile) -> list[str]:
    return re.split(r"^FROM ", dockerfile, flags=re.MULTILINE)[1:]


def instructions(text: str, name: str) -> list[str]:
    return re.findall(rf"^{name} (.+)$", text, re.MULTILINE)


def test_there_are_two_stages_of_one_python_pinned_by_version(dockerfile, stages) -> None:
    assert [stage.splitlines()[0] for stage in stages] == ["python:${PYTHON} AS build", "python:${PYTHON}"]
    assert [
        re.fullmatch(r"PYTHON=3\.11\.\d+-slim-\w+", each) is not None for each in instructions(dockerfile, "ARG")
    ] == [True]


def test_what_runs_has_no_build_tool_and_installs_nothing(stages) -> None:
    assert "pip" not in stages[1]
    assert instructions(stages[1], "COPY") == ["--from=build /opt/fluxmedic /opt/fluxmedic"]


def test_it_runs_as_a_numeric_user_that_is_not_root(stages, manifests) -> None:
    users = [re.fullmatch(r"(\d+):(\d+)", each) for each in instructions(stages[1], "USER")]
    assert len(users) == 1
    assert users[0] is not None
    context = manifests.one("base", "Deployment")["spec"]["template"]["spec"]["securityContext"]
    assert [int(each) for each in users[0].groups()] == [context["runAsUser"], context["runAsGroup"]]
    assert int(users[0][1]) > 0
    assert stages[1].index("\nUSER") < stages[1].index("\nENTRYPOINT")


def test_whatever_comes_from_an_index_is_held_to_its_hash(stages) -> None:
    installs = re.findall(r"\bpip (?:install|wheel) [^&\n]*", stages[0])
    assert len(installs) == 4
    for each in installs:
        assert "--require-hashes" in each or ("--no-index" in each and "--no-deps" in each), each


def test_every_lock_that_is_installed_carries_hashes_for_all(stages, manifests) -> None:
    named = re.findall(r"-r (\S+)", stages[0])
    assert named == ["deploy/requirements-build.txt", "deploy/requirements.txt"]
    for name in named:
        text = (manifests.root / name).read_text()
        pins = re.split(r"(?m)^(?=[a-z0-9][\w.\-\[\]]*==)", text)[1:]
        assert pins
        assert all("--hash=sha256:" in each for each in pins), name


def test_every_copied_source_exists_and_is_not_ignored(stages, manifests) -> None:
    sources = [name for row in instructions(stages[0], "COPY") for name in row.split()[:-1]]
    assert {"rules", "daemon", "pyproject.toml", "deploy/requirements.txt"} <= set(sources)
    kept = [line[1:] for line in (manifests.root / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for name in sources:
        assert (manifests.root / name).exists(), name
    assert sorted(sources) == sorted(kept)


def test_the_server_listens_beyond_loopback_and_its_port_is_exposed(stages) -> None:
    assert "FLUXMEDIC_HTTP__BIND=0.0.0.0:8080" in stages[1]
    assert instructions(stages[1], "EXPOSE") == ["8080"]


def test_the_ledger_lies_on_the_volume(stages) -> None:
    assert "FLUXMEDIC_LEDGER__URL=sqlite+aiosqlite:////data/ledger.db" in stages[1]
    assert instructions(stages[1], "VOLUME") == ["/data"]


def test_health_is_asked_by_kubernetes_and_not_by_the_image(dockerfile) -> None:
    assert instructions(dockerfile, "HEALTHCHECK") == []


def test_it_names_no_registry_and_no_index(dockerfile, manifests) -> None:
    assert "://" not in re.sub(r"sqlite\+aiosqlite:////\S+", "", dockerfile)
    for lock in manifests.deploy.glob("requirements*.txt"):
        assert "://" not in lock.read_text(), lock


def test_it_starts_the_daemon(stages) -> None:
    assert (instructions(stages[1], "ENTRYPOINT"), instructions(stages[1], "CMD")) == (['["fluxmedic"]'], ['["run"]'])
