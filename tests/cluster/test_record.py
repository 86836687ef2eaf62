"""What is recorded beside a live daemon replays into the same incidents."""

import asyncio
import json
import signal
import sys

from tests.cluster import manifests
from tests.cluster.eventually import eventually
from tests.cluster.process import Process
from tests.cluster.story import Story, members_of, root_of

FLUXMEDIC = (sys.executable, "-m", "daemon")


async def test_a_recording_replays_into_the_incidents_the_live_daemon_opened(own_plane: Story):
    await own_plane.fleet({"base": (), "middle": ("base",), "other": ()})
    watchman = await own_plane.watchman()
    path = own_plane.folder / "story.jsonl.gz"
    environment = {"KUBECONFIG": str(own_plane.plane.kubeconfig)}
    recorder = Process("record", [*FLUXMEDIC, "record", "-o", str(path)], own_plane.folder / "record.log", environment)
    recorder.start()
    try:
        await eventually("the recorder to begin", lambda: asyncio.to_thread(path.exists), bool, within=30)
        await asyncio.sleep(5)
        await own_plane.push({"base/all.yaml": manifests.deployment(own_plane.name, "base", "crash")})
        live = await own_plane.incident(watchman, "Kustomization/base")
        await own_plane.push({"base/all.yaml": manifests.deployment(own_plane.name, "base")})
        live = await own_plane.resolved(watchman, live["id"])
        await asyncio.sleep(2)
    finally:
        recorder.signal(signal.SIGINT)
        await eventually("the recorder to end", lambda: asyncio.to_thread(lambda: not recorder.alive), bool, within=30)
    done = await watchman.run("replay", str(path), "-o", "json")
    assert done.returncode == 0, done.stderr
    told = [each for each in json.loads(done.stdout)["incidents"] if each["severity"] != "info"]
    assert [(root_of(each), members_of(each), each["state"]) for each in told] == [
        (root_of(live), members_of(live), "resolved")
    ]
