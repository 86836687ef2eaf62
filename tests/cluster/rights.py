"""The daemon's own account, with exactly the roles in `deploy/`, and tokens for it from the API server."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

import yaml

from tests.cluster import manifests
from tests.cluster.api import Api, Raw
from tests.cluster.story import Story

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
BASE = DEPLOY / "base"
AUTO_FIX = DEPLOY / "components" / "auto-fix"
PLACE = ACCOUNT = "fluxmedic"
TOKEN_SECONDS = 3600


def documents(*files: Path) -> list[Raw]:
    """Return the objects of these files."""
    return [each for file in files for each in yaml.safe_load_all(file.read_text()) if each]


async def grant(api: Api, *, auto_fix: bool = False, change: Iterable[Raw] = ()) -> None:
    """Apply the account and its roles from `deploy/`; `change` replaces objects of the same kind and name."""
    files = [BASE / "namespace.yaml", BASE / "serviceaccount.yaml", BASE / "rbac.yaml"]
    if auto_fix:
        files += [AUTO_FIX / "rbac.yaml", AUTO_FIX / "admission.yaml"]
    replaced = {(each["kind"], each["metadata"]["name"]): each for each in change}
    for each in documents(*files):
        await api.apply(replaced.get((each["kind"], each["metadata"]["name"]), each))


async def token(api: Api) -> str:
    """Return a new token of the account."""
    path = f"/api/v1/namespaces/{PLACE}/serviceaccounts/{ACCOUNT}/token"
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": TOKEN_SECONDS},
    }
    found = await api.call("POST", path, body)
    return str(found["status"]["token"])


async def account_kubeconfig(story: Story) -> Path:
    """Write a kubeconfig whose token is read from a file, as in a pod."""
    path = story.folder / "token"
    path.write_text(await token(story.api))
    return story.plane.identity.kubeconfig(story.plane.server, f"{story.name}-account", token_file=path)


async def new_token(story: Story) -> None:
    """End the old token and put a new one into its file, as a kubelet does when the account was made anew."""
    await story.api.delete("ServiceAccount", PLACE, ACCOUNT)
    await story.api.apply(*documents(BASE / "serviceaccount.yaml"))
    made = await token(story.api)
    await asyncio.to_thread((story.folder / "token").write_text, made)


async def as_account(story: Story) -> Api:
    """Return a client that is the daemon's account; to be entered."""
    return Api(story.api.server, await token(story.api), story.api.trust)


def suspended_release(namespace: str, name: str) -> Raw:
    """Return a HelmRelease that is suspended from the start and never installs anything."""
    return manifests.helm_release(namespace, name, "none", "1.0.0", "none", suspend=True)
