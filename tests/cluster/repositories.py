"""A Git server and a Helm repository on loopback, both of which fail on command.

Git is spoken by git's own `http-backend`; pushes go through the file system. Faults are per repository: an HTTP status,
`hang`, or a closed port for all. Chart archives are packed here, as `helm package` would.
"""

import asyncio
import gzip
import io
import os
import subprocess
import tarfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

IDENTITY = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.test",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.test",
}
BRANCH = "main"
HERE = os.environ.get("CLUSTER_TEST_ADDRESS", "127.0.0.1")
"""The address under which Flux reaches this machine: another one when the cluster is somebody else's."""


@dataclass(slots=True)
class Repositories:
    """What is served, and what goes wrong with it."""

    folder: Path
    address: str = ""
    faults: dict[str, str] = field(default_factory=dict)
    """Repository name to an HTTP status or `hang`; `charts` is the Helm repository."""
    requests: list[str] = field(default_factory=list)
    _site: web.TCPSite | None = None
    _runner: web.AppRunner | None = None

    def url(self, name: str) -> str:
        """Return the address of a Git repository."""
        return f"{self.address}/git/{name}.git"

    @property
    def charts_url(self) -> str:
        """The address of the Helm repository."""
        return f"{self.address}/charts"

    def push(self, name: str, files: Mapping[str, object], message: str = "Change") -> str:
        """Commit these files as all that the repository holds, push, and return the revision as Flux writes it.

        A file's content is text, or an object or list of objects written as YAML.
        """
        bare, work = self.folder / "git" / f"{name}.git", self.folder / "work" / name
        if not bare.exists():
            self._git(self.folder, "init", "--quiet", "--bare", f"--initial-branch={BRANCH}", str(bare))
            self._git(self.folder, "init", "--quiet", f"--initial-branch={BRANCH}", str(work))
        self._git(work, "rm", "-rq", "--ignore-unmatch", ".")
        for path, content in files.items():
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            (work / path).write_text(content if isinstance(content, str) else _yaml(content))
        self._git(work, "add", "--all")
        self._git(work, "commit", "--quiet", "--allow-empty", "-m", message)
        self._git(work, "push", "--quiet", str(bare), f"HEAD:{BRANCH}")
        return f"{BRANCH}@sha1:{self._git(work, 'rev-parse', 'HEAD').strip()}"

    def chart(self, name: str, version: str, templates: Mapping[str, str], values: object = None) -> None:
        """Pack a chart and add it to the index."""
        folder = self.folder / "charts"
        folder.mkdir(parents=True, exist_ok=True)
        about = {"apiVersion": "v2", "name": name, "version": version, "type": "application"}
        files = {"Chart.yaml": _yaml(about), "values.yaml": _yaml(values or {})}
        files |= {f"templates/{path}": text for path, text in templates.items()}
        packed = _packed(name, files)
        (folder / f"{name}-{version}.tgz").write_bytes(packed)
        index = folder / "index.yaml"
        known: dict[str, Any] = yaml.safe_load(index.read_text()) if index.exists() else {}
        entries = known.setdefault("entries", {}).setdefault(name, [])
        digest = sha256(packed).hexdigest()
        made = {"created": "2026-01-01T00:00:00Z", "digest": digest, "urls": [f"{name}-{version}.tgz"]}
        entries[:] = [{**about, **made}, *(each for each in entries if each["version"] != version)]
        index.write_text(_yaml({"apiVersion": "v1", "entries": known["entries"]}))

    async def close_port(self) -> None:
        """Refuse every connection from here on."""
        assert self._site is not None
        assert self._runner is not None
        assert self._runner.server is not None
        await self._site.stop()
        await self._runner.server.shutdown(0.1)

    async def open_port(self) -> None:
        """Listen again, at the same address."""
        assert self._runner is not None
        self._site = web.TCPSite(self._runner, HERE, int(self.address.rsplit(":", 1)[1]), reuse_address=True)
        await self._site.start()

    def _git(self, folder: Path, *words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=folder, env={**os.environ, **IDENTITY}, check=True, capture_output=True
        )
        return done.stdout.decode()

    async def _fault(self, name: str) -> web.Response | None:
        fault = self.faults.get(name, "")
        if fault == "hang":
            await asyncio.sleep(3600)
        return web.Response(status=int(fault), text="as told") if fault else None

    async def _serve_git(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        self.requests.append(f"git {path}")
        failed = await self._fault(path.partition(".git")[0])
        if failed is not None:
            return failed
        environment = {
            **os.environ,
            "GIT_PROJECT_ROOT": str(self.folder / "git"),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "PATH_INFO": f"/{path}",
            "QUERY_STRING": request.query_string,
            "REQUEST_METHOD": request.method,
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
        }
        body = await request.read()
        if request.headers.get("Content-Encoding") == "gzip" and body[:2] != b"\x1f\x8b":
            environment["HTTP_CONTENT_ENCODING"] = ""  # aiohttp has unpacked it already
        backend = await asyncio.create_subprocess_exec(
            "git", "http-backend", stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        output, _ = await backend.communicate(body)
        head, _, content = output.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        status = int(headers.pop("Status", "200").split()[0])
        return web.Response(status=status, body=content, headers=headers)

    async def _serve_chart(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        self.requests.append(f"chart {name}")
        failed = await self._fault("charts")
        if failed is not None:
            return failed
        path = self.folder / "charts" / name
        return web.Response(body=path.read_bytes()) if path.is_file() else web.Response(status=404)

    @asynccontextmanager
    async def served(self) -> AsyncIterator["Repositories"]:
        """Serve until the end of the story."""
        for name in ("git", "work"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/git/{path:.+}", self._serve_git)
        app.router.add_get("/charts/{name}", self._serve_chart)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        self._site = web.TCPSite(self._runner, HERE, 0)
        await self._site.start()
        host, port = self._runner.addresses[0][:2]
        self.address = f"http://{host}:{port}"
        try:
            yield self
        finally:
            await self._runner.cleanup()


def _yaml(content: object) -> str:
    return yaml.safe_dump_all(content if isinstance(content, list) else [content], sort_keys=False)


def _packed(name: str, files: Mapping[str, str]) -> bytes:
    """Return the archive of a chart; the same files give the same bytes."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for path, text in files.items():
            entry = tarfile.TarInfo(f"{name}/{path}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return gzip.compress(raw.getvalue(), mtime=0)
