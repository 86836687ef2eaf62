"""A real control plane with real Flux on loopback: etcd, API server, controllers, nodes of KWOK, four Flux controllers.

No container runtime, no kubelet, no Service network: every program listens on a free port of 127.0.0.1. Flags and their
reasons are upstream's; where one is not obvious, the line says why. One plane takes about 1.1 GB and 10 s to start.
"""

import base64
import json
import signal
import ssl
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster.build import Toolbox
from tests.cluster.identity import Identity, make_identity
from tests.cluster.process import Process, free_port

HERE = Path(__file__).parent
LIMIT = 60.0
"""Seconds each program has until it is ready: measured 0.3-3.4 s; a loaded machine takes ten times that."""
NODES = 3
FLUX = ("notification-controller", "source-controller", "kustomize-controller", "helm-controller")
NODE_LABEL = "fluxmedic.dev/node"


@dataclass(slots=True)
class Plane:
    """The running programs and how to reach them."""

    folder: Path
    toolbox: Toolbox
    identity: Identity
    processes: dict[str, Process] = field(default_factory=dict)
    ready_at: dict[str, str] = field(default_factory=dict)
    """Address that answers 200 once a program is ready."""
    server: str = ""
    etcd: str = ""
    events: str = ""
    """Where notification-controller takes events."""
    receiver: str = ""

    kubeconfig: Path = Path()
    """The administrator's."""

    def start(self, name: str) -> None:
        """Start a program again, or for the first time, and wait until it is ready."""
        process = self.processes[name]
        process.start()
        address = self.ready_at.get(name, "")
        if address:
            process.wait_until(lambda: self._answers(address), LIMIT, f"answer at {address}")

    def kill(self, name: str) -> None:
        """End a program as a crash does."""
        self.processes[name].kill()

    def pause(self, name: str) -> None:
        """Have a program hang: it holds its connections and does nothing."""
        self.processes[name].signal(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """Let a program that hangs go on."""
        self.processes[name].signal(signal.SIGCONT)

    def restart(self, name: str) -> None:
        """End a program and start it again."""
        self.processes[name].stop()
        self.start(name)

    def record(self) -> None:
        """Have `fluxmedic record` write what the plane shows, for whoever must understand a failure."""
        logs = self.folder / "logs"
        command = [sys.executable, "-m", "daemon", "record", "-o", str(logs / "recording.jsonl")]
        environment = {"KUBECONFIG": str(self.kubeconfig), "PYTHONPATH": str(HERE.parents[1])}
        self.processes["record"] = Process("record", command, logs / "record.log", environment)
        self.processes["record"].start()

    def compact(self) -> None:
        """Have etcd forget its history, so that every watch from before must list anew."""
        range_all = json.dumps({"key": base64.b64encode(b"/registry").decode()}).encode()
        answer = json.loads(self._post("/v3/kv/range", range_all))
        self._post(
            "/v3/kv/compaction", json.dumps({"revision": answer["header"]["revision"], "physical": True}).encode()
        )

    def _post(self, path: str, body: bytes) -> bytes:
        with urllib.request.urlopen(self.etcd + path, body, timeout=10) as answer:  # noqa: S310 - loopback
            return bytes(answer.read())

    def stop(self) -> None:
        """End everything, the last started first."""
        for process in reversed(self.processes.values()):
            process.signal(signal.SIGCONT)
            process.signal(signal.SIGTERM)
        for process in reversed(self.processes.values()):
            process.stop()

    def add(self, name: str, *arguments: str, ready: str = "", program: str = "", **environment: str) -> None:
        """Name a program with its arguments; it is not started."""
        command = [str(self.toolbox.programs[program or name]), *arguments]
        logs = self.folder / "logs"
        logs.mkdir(exist_ok=True)
        self.processes[name] = Process(name, command, logs / f"{name}.log", environment)
        if ready:
            self.ready_at[name] = ready

    def _answers(self, address: str) -> bool:
        trust = ssl.create_default_context(cafile=str(self.identity.authority))
        request = urllib.request.Request(address, headers={"Authorization": f"Bearer {self.identity.admin_token}"})  # noqa: S310 - loopback
        try:
            with urllib.request.urlopen(request, timeout=2, context=trust) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False


def describe(toolbox: Toolbox, folder: Path) -> Plane:
    """Return a plane in this folder with all its programs named and none started."""
    plane = Plane(folder, toolbox, make_identity(folder / "keys"))
    _kubernetes(plane)
    _flux(plane)
    return plane


def write_description(plane: Plane) -> Path:
    """Write where a running plane is, for other processes; return the file."""
    path = plane.folder / "plane.json"
    facts = {"server": plane.server, "kubeconfig": str(plane.kubeconfig), "token": plane.identity.admin_token}
    path.write_text(json.dumps(facts))
    return path


def described_in(path: Path, toolbox: Toolbox) -> Plane:
    """Return a plane that another process runs: it can be talked to, not stopped."""
    facts = json.loads(path.read_text())
    plane = Plane(path.parent, toolbox, Identity(path.parent / "keys", facts["token"]), server=facts["server"])
    plane.kubeconfig = Path(facts["kubeconfig"])
    return plane


@contextmanager
def running_base(toolbox: Toolbox, folder: Path | None = None) -> Iterator[Plane]:
    """Run etcd, API server, controller manager and scheduler; stop them at the end, however it comes."""
    with tempfile.TemporaryDirectory(prefix="plane-", ignore_cleanup_errors=True) as made:
        plane = describe(toolbox, folder or Path(made))
        try:
            for name in ("etcd", "kube-apiserver"):
                plane.start(name)
            for name in ("kube-controller-manager", "kube-scheduler"):
                plane.processes[name].start()
            yield plane
        finally:
            plane.stop()


def _kubernetes(plane: Plane) -> None:
    keys = plane.identity
    etcd, peer, api = free_port(), free_port(), free_port()
    plane.server, plane.etcd = f"https://127.0.0.1:{api}", f"http://127.0.0.1:{etcd}"
    kubeconfig = plane.kubeconfig = keys.kubeconfig(plane.server)
    plane.add(
        "etcd",
        f"--data-dir={plane.folder / 'etcd'}",
        "--unsafe-no-fsync",  # a throw-away cluster need not survive a power cut
        f"--listen-client-urls=http://127.0.0.1:{etcd}",
        f"--advertise-client-urls=http://127.0.0.1:{etcd}",
        f"--listen-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-cluster=default=http://127.0.0.1:{peer}",
        ready=f"http://127.0.0.1:{etcd}/readyz",
    )
    plane.add(
        "kube-apiserver",
        f"--etcd-servers=http://127.0.0.1:{etcd}",
        f"--secure-port={api}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",  # a loopback endpoint is refused otherwise
        f"--tls-cert-file={keys.certificate}",
        f"--tls-private-key-file={keys.key}",
        f"--client-ca-file={keys.authority}",
        f"--token-auth-file={keys.tokens}",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={keys.account_public_key}",
        f"--service-account-signing-key-file={keys.account_key}",
        "--service-cluster-ip-range=10.96.0.0/16",
        f"--cert-dir={plane.folder / 'apiserver'}",
        "--etcd-compaction-interval=0",  # a test compacts when it wants to
        ready=f"{plane.server}/readyz",
    )
    plane.add(
        "kube-controller-manager",
        f"--kubeconfig={kubeconfig}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        f"--secure-port={free_port()}",
        f"--service-account-private-key-file={keys.account_key}",
        f"--root-ca-file={keys.authority}",
        "--use-service-account-credentials=false",
        f"--cert-dir={plane.folder / 'controller-manager'}",
    )
    plane.add(
        "kube-scheduler",
        f"--kubeconfig={kubeconfig}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        f"--secure-port={free_port()}",
        f"--cert-dir={plane.folder / 'scheduler'}",
    )
    for index in range(NODES):
        web = free_port()
        plane.add(
            f"node-{index}",
            f"--kubeconfig={kubeconfig}",
            f"--config={HERE / 'stages.yaml'}",
            f"--manage-nodes-with-label-selector={NODE_LABEL}=node-{index}",
            "--node-ip=127.0.0.1",
            f"--cidr=10.{index}.0.0/16",
            "--node-lease-duration-seconds=40",
            f"--server-address=127.0.0.1:{web}",
            ready=f"http://127.0.0.1:{web}/healthz",
            program="kwok",
        )


def _flux(plane: Plane) -> None:
    events, receiver, storage = free_port(), free_port(), free_port()
    for name in ("artifacts", "tmp"):
        (plane.folder / name).mkdir()
    plane.events, plane.receiver = f"http://127.0.0.1:{events}", f"http://127.0.0.1:{receiver}"
    more = {
        "notification-controller": (f"--events-addr=127.0.0.1:{events}", f"--receiverAddr=127.0.0.1:{receiver}"),
        "source-controller": (
            f"--storage-path={plane.folder / 'artifacts'}",
            f"--storage-addr=127.0.0.1:{storage}",
            f"--storage-adv-addr=127.0.0.1:{storage}",
            f"--events-addr={plane.events}/",
        ),
        # Health checks hold a worker for their whole timeout: with the default of 4 a few that hang stop all others.
        "kustomize-controller": ("--concurrent=64", f"--events-addr={plane.events}/"),
        "helm-controller": ("--concurrent=16", f"--events-addr={plane.events}/"),
    }
    for name in FLUX:
        health = free_port()
        plane.add(
            name,
            *more[name],
            "--enable-leader-election=false",
            f"--metrics-addr=127.0.0.1:{free_port()}",
            f"--health-addr=127.0.0.1:{health}",
            "--log-level=info",
            ready=f"http://127.0.0.1:{health}/readyz",
            KUBECONFIG=str(plane.kubeconfig),
            RUNTIME_NAMESPACE="flux-system",
            TMPDIR=str(plane.folder / "tmp"),  # where builds unpack: gone with the plane, whatever is left in it
        )
