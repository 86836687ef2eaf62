"""pods/log and pods/exec: what a scenario's commands answer, over the API server's own WebSocket protocol.

Limit: protocol v4.channel.k8s.io, no stdin; a command is a function of the pod and its arguments.
"""

from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from daemon.simulator.api.errors import ApiError
from daemon.simulator.api.paths import Target
from daemon.simulator.api.store import Store

Json = dict[str, Any]
Command = Callable[[Json, list[str]], tuple[str, int] | None]
"""Given the pod and the arguments, stdout and exit code; None when the command is not this one's."""

STDOUT, ERROR = b"\x01", b"\x03"
"""Channels of v4.channel.k8s.io: the first byte of each message."""


class Exec:
    """Answers logs and commands in pods. `commands` are asked in order."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.commands: list[Command] = []
        self.logs: dict[str, str] = {}

    async def answer(self, request: web.Request, target: Target) -> web.StreamResponse | None:
        """Answer a subresource of pods, or None when it is another."""
        if target.resource.kind != "Pod" or target.subresource not in ("log", "exec"):
            return None
        pod = self.store.get(target.resource, target.namespace, target.name)
        if target.subresource == "log":
            return web.Response(text=self.logs.get(target.name, ""))
        if not any(one.get("ready") for one in pod.get("status", {}).get("containerStatuses", ())):
            raise ApiError(500, f'unable to upgrade connection: container not found in pod "{target.name}"')
        arguments = request.query.getall("command", [])
        answers = (command(pod, arguments) for command in self.commands)
        output, code = next((one for one in answers if one), (f"{arguments[:1]}: command not found\n", 127))
        socket = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        await socket.prepare(request)
        await socket.send_bytes(STDOUT + output.encode())
        await socket.send_bytes(ERROR + orjson.dumps(_ended(code)))
        await socket.close()
        return socket


def _ended(code: int) -> Json:
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    causes = [{"reason": "ExitCode", "message": str(code)}]
    message = f"command terminated with non-zero exit code: exit code {code}"
    failed = {"metadata": {}, "status": "Failure", "reason": "NonZeroExitCode", "message": message}
    return failed | {"details": {"causes": causes}}
