"""Git repositories and Helm charts as data: what a commit holds, path by path, and what a chart renders.

Limit: a path holds finished manifests; there is no kustomize build, no substitution, no SOPS.
"""

import hashlib
import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

Json = dict[str, Any]
Tree = Mapping[str, tuple[Json, ...]]


@dataclass(frozen=True, slots=True)
class Commit:
    """One state of a repository: folder to the manifests in it."""

    subject: str
    tree: Tree
    sha: str

    def manifests(self, path: str) -> tuple[Json, ...] | None:
        """Return what stands in a folder (./a/b), or None when there is no such folder."""
        return self.tree.get(posixpath.normpath(path))


@dataclass(slots=True)
class Repository:
    """A branch that grows. `failure`: what every fetch says while it is set."""

    branch: str = "main"
    commits: list[Commit] = field(default_factory=list)
    failure: str = ""

    def push(self, subject: str, changes: Mapping[str, Sequence[Json] | None]) -> Commit:
        """Add a commit that replaces the named folders (None removes one) and keeps the rest."""
        tree = dict(self.commits[-1].tree) if self.commits else {}
        for path, manifests in changes.items():
            if manifests is None:
                tree.pop(posixpath.normpath(path), None)
            else:
                tree[posixpath.normpath(path)] = tuple(manifests)
        text = orjson.dumps([len(self.commits), subject, tree], option=orjson.OPT_SORT_KEYS)
        commit = Commit(subject, tree, hashlib.sha256(text).hexdigest()[:40])
        self.commits.append(commit)
        return commit

    def revision(self, commit: Commit) -> str:
        """Return a commit as Flux writes it: main@sha1:<40 hex>."""
        return f"{self.branch}@sha1:{commit.sha}"

    def at(self, revision: str) -> Commit | None:
        """Return the commit of a revision."""
        return next((commit for commit in self.commits if self.revision(commit) == revision), None)


@dataclass(frozen=True, slots=True)
class Chart:
    """A Helm chart: what it renders from values."""

    name: str
    version: str
    render: Callable[[Json], list[Json]]
    app_version: str = ""


@dataclass(slots=True)
class Outside:
    """What lies outside: repositories by namespace/name of their GitRepository, charts by name and version."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    charts: dict[tuple[str, str], Chart] = field(default_factory=dict)

    def add_chart(self, chart: Chart) -> None:
        """Publish a chart."""
        self.charts[chart.name, chart.version] = chart


def digest(value: object) -> str:
    """Return sha256:<hex> of a value's JSON."""
    return "sha256:" + hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()
