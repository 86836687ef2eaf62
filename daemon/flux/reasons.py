"""What a Ready reason means for the question "who broke": Flux says False for a failure and for waiting alike.

The classes are flux.md 2.8 with what was measured (0.3). An unknown reason of a False condition is a failure.
"""

from enum import StrEnum


class ReasonClass(StrEnum):
    """What kind of statement a condition makes."""

    OK = "ok"
    FAILED = "failed"
    CONFIG = "config"
    """Terminal: only a change of the spec helps."""
    BLOCKED = "blocked"
    """Waits for a dependency."""
    SYMPTOM = "symptom"
    """Waits for what it is made from."""
    PROGRESSING = "progressing"
    TRANSIENT = "transient"


PROGRESSING = frozenset({"Progressing", "ProgressingWithRetry", "NewGeneration", "AwaitingTests", "PendingRelease"})
TRANSIENT = frozenset({"HealthCheckCanceled"})
CONFIG = frozenset(
    {
        "AccessDenied",
        "InvalidCELExpression",
        "FeatureGateDisabled",
        "InvalidChartReference",
        "ValuesFilesError",
        "MetadataPatchError",
        "URLInvalid",
        "InvalidURL",
        "ImageURLInvalid",
        "InvalidPolicy",
        "ValidationFailed",
    }
)
SOURCE_WAITS = (
    "artifact not found",
    "artifact is not ready",
    "Source is not ready",
    "Source artifact not found",
    "latest generation of object has not been reconciled",
)
"""Texts of ArtifactFailed that say: not yet. Everything else under that reason is a failure of its own."""
BY_REASON: dict[str, ReasonClass] = {
    "DependencyNotReady": ReasonClass.BLOCKED,
    "SourceNotReady": ReasonClass.SYMPTOM,
    "NoSourceArtifact": ReasonClass.SYMPTOM,
    **dict.fromkeys(PROGRESSING, ReasonClass.PROGRESSING),
    **dict.fromkeys(TRANSIENT, ReasonClass.TRANSIENT),
    **dict.fromkeys(CONFIG, ReasonClass.CONFIG),
}


def classify(kind: str, status: str, reason: str, message: str) -> ReasonClass:
    """Return what a Ready condition of a kind says with this status, reason and message."""
    if status == "True":
        return ReasonClass.OK
    if status != "False":
        return ReasonClass.PROGRESSING
    if reason == "ArtifactFailed":
        return _artifact(kind, message)
    return BY_REASON.get(reason, ReasonClass.FAILED)


def _artifact(kind: str, message: str) -> ReasonClass:
    """A source that is not there, or has nothing yet, is waited for; a wrong path or a failed download is a failure."""
    if any(text in message for text in SOURCE_WAITS):
        return ReasonClass.SYMPTOM
    missing = message.endswith("not found") and "toolkit.fluxcd.io" in message
    return ReasonClass.SYMPTOM if missing or kind == "HelmChart" else ReasonClass.FAILED
