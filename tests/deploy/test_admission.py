"""The fence around our service account: what the actions write passes, and nothing else does."""

import copy

import pytest

import daemon.actions
from daemon.actions.plugin import OWNER_ANNOTATION, REQUESTED, Plugin
from daemon.flux.kinds import HELM, KUSTOMIZE
from daemon.runtime.plugins import discover
from tests.deploy.policy import USER, Policy

META = {
    "name": "cilium",
    "namespace": "kube-system",
    "labels": {"team": "platform"},
    "annotations": {"note": "keep", "gone/soon": "x"},
    "finalizers": ["finalizers.fluxcd.io"],
    "generation": 1,
    "resourceVersion": "7",
}
RELEASE = {
    "apiVersion": f"{HELM}/v2",
    "kind": "HelmRelease",
    "metadata": META,
    "spec": {"interval": "30m", "values": {"deep": [{"a": 1}]}},
}
KUSTOMIZATION = {
    "apiVersion": f"{KUSTOMIZE}/v1",
    "kind": "Kustomization",
    "metadata": META,
    "spec": {"interval": "10m", "prune": True},
}


@pytest.fixture(scope="module")
def policy() -> Policy:
    return Policy()


def changed(item, **metadata):
    """Return a copy with other metadata; generation and version move as an API server moves them."""
    new = copy.deepcopy(item)
    new["metadata"] |= {"generation": 2, "resourceVersion": "8"} | metadata
    return new


def annotated(item, **annotations):
    return changed(item, annotations=item["metadata"]["annotations"] | annotations)


def specced(item, **spec):
    new = changed(item)
    new["spec"] |= spec
    return new


def without(item, *path):
    new = changed(item)
    inner = new
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return new


SUSPENDED = specced(RELEASE, suspend=True)
BARE = without(without(without(RELEASE, "metadata", "annotations"), "metadata", "labels"), "metadata", "finalizers")

ADMITTED = {
    "a request to reconcile": ("UPDATE", "kustomizations", KUSTOMIZATION, annotated(KUSTOMIZATION, **{REQUESTED: "t"})),
    "our own mark": ("UPDATE", "helmreleases", RELEASE, annotated(RELEASE, **{OWNER_ANNOTATION: "t"})),
    "the first annotation of all": ("UPDATE", "helmreleases", BARE, changed(BARE, annotations={REQUESTED: "t"})),
    "a suspension": ("UPDATE", "helmreleases", RELEASE, SUSPENDED),
    "a suspension with both marks": (
        "UPDATE",
        "helmreleases",
        RELEASE,
        annotated(SUSPENDED, **{REQUESTED: "t", OWNER_ANNOTATION: "t"}),
    ),
    "a suspension over an explicit false": ("UPDATE", "helmreleases", specced(RELEASE, suspend=False), SUSPENDED),
    "a request on what is suspended": ("UPDATE", "helmreleases", SUSPENDED, annotated(SUSPENDED, **{REQUESTED: "t"})),
    "the delete of what is suspended": ("DELETE", "helmreleases", SUSPENDED, None),
}
REFUSED = {
    "another field of the spec": (
        "UPDATE",
        "helmreleases",
        RELEASE,
        specced(RELEASE, interval="1m"),
        "nothing in a spec",
    ),
    "a value deep in the spec": (
        "UPDATE",
        "helmreleases",
        RELEASE,
        specced(RELEASE, values={"deep": [{"a": 2}]}),
        "nothing in a spec",
    ),
    "a new field": ("UPDATE", "helmreleases", RELEASE, specced(RELEASE, releaseName="x"), "nothing in a spec"),
    "a field taken away": ("UPDATE", "helmreleases", RELEASE, without(RELEASE, "spec", "values"), "nothing in a spec"),
    "a field hidden behind a suspension": (
        "UPDATE",
        "helmreleases",
        RELEASE,
        specced(SUSPENDED, targetNamespace="x"),
        "nothing in a spec",
    ),
    "a resumption": ("UPDATE", "helmreleases", SUSPENDED, specced(RELEASE, suspend=False), "resume nothing"),
    "a suspension taken away": ("UPDATE", "helmreleases", SUSPENDED, RELEASE, "resume nothing"),
    "a suspended Kustomization": (
        "UPDATE",
        "kustomizations",
        KUSTOMIZATION,
        specced(KUSTOMIZATION, suspend=True),
        "suspend a HelmRelease",
    ),
    "a foreign annotation": ("UPDATE", "helmreleases", RELEASE, annotated(RELEASE, note="other"), "no annotations"),
    "a new foreign annotation": (
        "UPDATE",
        "helmreleases",
        RELEASE,
        annotated(RELEASE, **{"kustomize.toolkit.fluxcd.io/prune": "disabled"}),
        "no annotations",
    ),
    "an annotation taken away": (
        "UPDATE",
        "helmreleases",
        RELEASE,
        changed(RELEASE, annotations={"note": "keep"}),
        "no annotations",
    ),
    "all annotations taken away": (
        "UPDATE",
        "helmreleases",
        RELEASE,
        without(RELEASE, "metadata", "annotations"),
        "no annotations",
    ),
    "a label": ("UPDATE", "helmreleases", RELEASE, changed(RELEASE, labels={"team": "us"}), "labels, finalizers"),
    "a first label": ("UPDATE", "helmreleases", BARE, changed(BARE, labels={"a": "b"}), "labels, finalizers"),
    "a finalizer taken away": (
        "UPDATE",
        "helmreleases",
        RELEASE,
        without(RELEASE, "metadata", "finalizers"),
        "labels, finalizers",
    ),
    "an owner": (
        "UPDATE",
        "helmreleases",
        RELEASE,
        changed(RELEASE, ownerReferences=[{"kind": "X"}]),
        "labels, finalizers",
    ),
    "the delete of what is not suspended": ("DELETE", "helmreleases", RELEASE, None, "only one that is suspended"),
    "the delete of what was resumed": (
        "DELETE",
        "helmreleases",
        specced(RELEASE, suspend=False),
        None,
        "only one that is suspended",
    ),
    "the delete of a Kustomization": (
        "DELETE",
        "kustomizations",
        specced(KUSTOMIZATION, suspend=True),
        None,
        "may delete a HelmRelease",
    ),
    "a creation": ("CREATE", "helmreleases", None, RELEASE, "may not create"),
}


@pytest.mark.parametrize("case", ADMITTED)
def test_f095_what_the_actions_write_is_admitted(policy, case) -> None:
    operation, resource, old, new = ADMITTED[case]
    assert policy.refuses(operation, resource, old, new) == ""


@pytest.mark.parametrize("case", REFUSED)
def test_f095_f096_everything_else_is_refused(policy, case) -> None:
    operation, resource, old, new, why = REFUSED[case]
    assert why in policy.refuses(operation, resource, old, new)


def test_others_are_not_fenced_in(policy) -> None:
    assert policy.refuses("DELETE", "helmreleases", RELEASE, None, user="system:serviceaccount:flux-system:x") == ""


def test_the_fence_stands_around_our_service_account(manifests, policy) -> None:
    meta = manifests.one("base", "ServiceAccount")["metadata"]
    assert f"system:serviceaccount:{meta['namespace']}:{meta['name']}" == USER
    assert USER in policy.spec["matchConditions"][0]["expression"]


def test_every_group_that_an_action_writes_to_lies_behind_the_fence(policy) -> None:
    rows = [row for plugin in discover(daemon.actions, Plugin).values() for row in plugin.permissions]
    written = {row.group for row in rows if {"patch", "delete"} & set(row.verbs)}
    rule = policy.spec["matchConstraints"]["resourceRules"][0]
    assert set(rule["apiGroups"]) == written
    assert (rule["resources"], rule["apiVersions"]) == (["*"], ["*"])


def test_it_fails_closed_and_denies(policy) -> None:
    assert policy.spec["failurePolicy"] == "Fail"
    binding = policy.documents[1]["spec"]
    assert binding == {"policyName": policy.documents[0]["metadata"]["name"], "validationActions": ["Deny"]}
