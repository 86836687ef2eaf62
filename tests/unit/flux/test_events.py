"""Events, posts of notification-controller and Helm's storage, decoded."""

from datetime import UTC, datetime

import pytest

from daemon.flux.decode import decode_webhook, gone_of, signal_of
from daemon.model.refs import ObjectRef
from daemon.model.signals import EventSeen, ReleaseSeen

AT = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)


def secret(name: str = "sh.helm.release.v1.db.v3", kind: str = "Secret", **labels: str) -> dict[str, object]:
    labels = {"owner": "helm", "name": "db", "status": "deployed", "version": "3"} | labels
    writers = [
        {"manager": "Helm", "time": "2026-03-01T02:00:00Z"},
        {"manager": "helm-controller", "time": "2026-03-01T03:00:00Z"},
        {"manager": "other", "subresource": "status", "time": "2026-03-01T04:00:00Z"},
    ]
    metadata = {"name": name, "namespace": "apps", "labels": labels, "managedFields": writers}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, "data": {"release": "x"}}


def test_helms_storage_is_read_by_its_labels_and_by_who_wrote_it_first():
    found = signal_of(secret(), "c", AT)
    assert isinstance(found, ReleaseSeen)
    assert (found.release, found.revision, found.status, found.writer) == ("db", 3, "deployed", "Helm")
    gone = gone_of(secret(kind="PartialObjectMetadata"), "c", AT)
    assert isinstance(gone, ReleaseSeen)
    assert gone.gone


def test_a_revision_without_labels_is_read_by_its_name():
    plain = secret()
    plain["metadata"]["labels"] = {"owner": "helm"}  # type: ignore[index]
    found = signal_of(plain, "c", AT)
    assert isinstance(found, ReleaseSeen)
    assert (found.release, found.revision) == ("db", 3)


@pytest.mark.parametrize(
    "other", [secret("ordinary"), secret(owner="me"), secret("sh.helm.release.v1.db", version="x")]
)
def test_any_other_secret_means_nothing(other):
    assert signal_of(other, "c", AT) is None


def event(**more: object) -> dict[str, object]:
    about = {"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "name": "a", "namespace": "apps"}
    return {
        "kind": "Event",
        "metadata": {"name": "e", "namespace": "apps", "uid": "e1"},
        "involvedObject": about,
        **more,
    }


def test_f022_an_event_is_about_its_object_and_says_when_it_happened_best():
    found = signal_of(
        event(
            reason="X",
            message="m",
            type="Warning",
            count=3,
            lastTimestamp="0001-01-01T00:00:00Z",
            firstTimestamp="2026-03-01T02:00:00Z",
            source={"component": "kustomize-controller"},
        ),
        "c",
        AT,
    )
    assert isinstance(found, EventSeen)
    assert found.ref == ObjectRef("c", "kustomize.toolkit.fluxcd.io", "Kustomization", "apps", "a")
    assert (found.warning, found.count, found.component) == (True, 3, "kustomize-controller")
    assert found.happened_at == datetime(2026, 3, 1, 2, 0, tzinfo=UTC)


def test_f022_an_event_of_the_new_kind_is_read_too():
    about = {"kind": "Deployment", "apiVersion": "apps/v1", "name": "web"}
    new = {
        "kind": "Event",
        "metadata": {"namespace": "apps", "annotations": {"kustomize.toolkit.fluxcd.io/revision": "m@1", "x": "y"}},
        "regarding": about,
        "note": "n",
        "series": {"count": 9, "lastObservedTime": "2026-03-01T03:00:00.5Z"},
    }
    found = signal_of(new, "c", AT)
    assert isinstance(found, EventSeen)
    assert (found.message, found.count, found.revision) == ("n", 9, "m@1")
    assert found.ref.namespace == "apps"


def test_the_details_of_an_event_are_redacted_but_for_digests():
    digest = "sha256:" + "9cf3a5f89adc05f9" * 4
    notes = {"helm.toolkit.fluxcd.io/token": digest, "helm.toolkit.fluxcd.io/note": "password=hunter22"}
    found = signal_of(event(metadata={"name": "e", "namespace": "apps", "annotations": notes}), "c", AT)
    assert isinstance(found, EventSeen)
    assert found.metadata == {"token": digest, "note": "password=[redacted:value]"}


def test_an_event_that_expires_means_nothing():
    assert gone_of(event(), "c", AT) is None


BODY = {
    "involvedObject": {
        "kind": "Kustomization",
        "name": "a",
        "namespace": "apps",
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
    },
    "reason": "X",
    "message": "token=abcd1234",
    "severity": "error",
    "timestamp": "2026-03-01T03:00:00Z",
    "metadata": {"kustomize.toolkit.fluxcd.io/revision": "m@1"},
    "reportingController": "kustomize-controller",
}


def test_a_post_of_notification_controller_is_a_hint_about_its_object():
    found = decode_webhook(BODY, "c", AT)
    assert (found.origin, found.warning, found.revision, found.happened_at) == ("webhook", True, "m@1", AT)
    assert "abcd1234" not in found.message


@pytest.mark.parametrize(
    ("broken", "missing"),
    [
        (BODY | {"involvedObject": {"name": "a"}}, "involvedObject.kind"),
        (BODY | {"involvedObject": {"kind": "a"}}, "involvedObject.name"),
        (BODY | {"message": 1}, "message and reason"),
        (BODY | {"reason": None}, "message and reason"),
    ],
)
def test_a_post_that_lacks_something_says_what(broken, missing):
    with pytest.raises(ValueError, match=missing):
        decode_webhook(broken, "c", AT)
