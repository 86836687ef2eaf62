"""What a Kustomization applied: inventory ids, and which objects pruning leaves alone. Pure."""

from typing import Any

Json = dict[str, Any]

GROUP = "kustomize.toolkit.fluxcd.io"


def entry(item: Json) -> Json:
    """Return an object's entry in status.inventory: id namespace_name_group_kind, v its version."""
    group, _, version = item["apiVersion"].rpartition("/")
    meta = item["metadata"]
    name = meta["name"].replace(":", "__")
    return {"id": f"{meta.get('namespace', '')}_{name}_{group}_{item['kind']}", "v": version}


def parse(text: str) -> tuple[str, str, str, str]:
    """Return namespace, name, group and kind of an inventory id."""
    namespace, _, rest = text.partition("_")
    rest, _, kind = rest.rpartition("_")
    name, _, group = rest.rpartition("_")
    return namespace, name.replace("__", ":"), group, kind


def skipped(item: Json, owner: Json) -> bool:
    """Say whether pruning leaves an object alone: it is told to, or it is no longer the owner's."""
    marks = item["metadata"].get("labels", {}) | item["metadata"].get("annotations", {})
    foreign = (marks.get(f"{GROUP}/name"), marks.get(f"{GROUP}/namespace")) != (owner["name"], owner["namespace"])
    return foreign or marks.get(f"{GROUP}/prune") == "disabled" or marks.get(f"{GROUP}/reconcile") == "disabled"
