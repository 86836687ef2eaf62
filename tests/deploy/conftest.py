"""The manifests as they stand, read once."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml

asyncio.set_event_loop(None)  # else pytest-asyncio makes one for the first sync fixture, and nobody closes it

Json = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]


class Manifests:
    """The folder deploy/ by file and by object."""

    root = ROOT
    deploy = ROOT / "deploy"

    def documents(self, file: Path) -> list[Json]:
        """Return the objects of one file."""
        return [each for each in yaml.safe_load_all(file.read_text()) if each is not None]

    def files(self) -> list[Path]:
        """Return every manifest."""
        return sorted(self.deploy.rglob("*.yaml"))

    def of(self, folder: str) -> list[Json]:
        """Return the objects that a kustomization of this folder names itself."""
        place = self.deploy / folder
        named = self.documents(place / "kustomization.yaml")[0]["resources"]
        return [item for name in named if (place / name).is_file() for item in self.documents(place / name)]

    def one(self, folder: str, kind: str) -> Json:
        """Return the only object of a kind."""
        found = [item for item in self.of(folder) if item["kind"] == kind]
        assert len(found) == 1, (folder, kind)
        return found[0]

    def patched_environment(self, folder: str) -> dict[str, str]:
        """Return what a kustomization's patches set."""
        patches = self.documents(self.deploy / folder / "kustomization.yaml")[0]["patches"]
        bodies = [yaml.safe_load(each["patch"]) for each in patches]
        return {key: value for body in bodies for key, value in environment(body).items()}

    def environment(self) -> dict[str, str]:
        """Return the environment of the base's Deployment."""
        return environment(self.one("base", "Deployment"))

    def rights(self, folder: str) -> set[tuple[str, str, str]]:
        """Return (group, resource, verb) of the folder's ClusterRole."""
        rows = self.one(folder, "ClusterRole")["rules"]
        assert all(set(row) == {"apiGroups", "resources", "verbs"} for row in rows)
        return {
            (group, resource, verb)
            for row in rows
            for group in row["apiGroups"]
            for resource in row["resources"]
            for verb in row["verbs"]
        }


def environment(deployment: Json) -> dict[str, str]:
    """Return the container's variables."""
    rows = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    return {row["name"]: row["value"] for row in rows}


@pytest.fixture(scope="session")
def manifests() -> Manifests:
    return Manifests()
