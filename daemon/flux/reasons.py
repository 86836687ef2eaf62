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


_SHARED = frozenset(
    {
        "Succeeded",
        "Failed",
        "Progressing",
        "ProgressingWithRetry",
        "Suspended",
        "DependencyNotReady",
        "ArtifactFailed",
        "ReconciliationSucceeded",
        "ReconciliationFailed",
        "InvalidPath",
        "InvalidURL",
        "InsecureConnectionsDisallowed",
        "UnsupportedConnectionType",
        "InvalidCELExpression",
        "FeatureGateDisabled",
        "AccessDenied",
        "AuthenticationFailed",
    }
)
"""Reasons that any controller may give (flux.md 2.1)."""
_SOURCE = frozenset(
    {
        "URLInvalid",
        "VerificationError",
        "InvalidCommitSignature",
        "InvalidTagSignature",
        "InvalidGitObject",
        "InvalidVerificationMode",
        "DirectoryCreationFailed",
        "StatOperationFailed",
        "ReadOperationFailed",
        "AcquireLockFailed",
        "ArchiveOperationFailed",
        "SymlinkUpdateFailed",
        "ArtifactUpToDate",
        "CacheOperationFailed",
        "PatchOperationFailed",
        "InvalidSTSConfiguration",
        "InvalidProviderConfiguration",
        "GarbageCollectionFailed",
        "SourceIgnoreError",
        "NoArtifact",
        "NotFound",
        "IllegalPath",
        "CopyFailure",
        "NewRevision",
    }
)
"""Reasons that any source may give (flux.md 2.4)."""
_OF_KIND: dict[str, frozenset[str]] = {
    "Kustomization": frozenset(
        {
            "HealthCheckFailed",
            "HealthCheckCanceled",
            "PruneFailed",
            "BuildFailed",
            "DirectoryCreationFailed",
        }
    ),
    "HelmRelease": frozenset(
        {
            "InstallSucceeded",
            "UpgradeSucceeded",
            "InstallFailed",
            "UpgradeFailed",
            "UninstallSucceeded",
            "UninstallFailed",
            "PendingRelease",
            "AwaitingTests",
            "TestSucceeded",
            "TestFailed",
            "RollbackSucceeded",
            "RollbackFailed",
            "DriftDetected",
            "NoDriftDetected",
            "RetriesExceeded",
            "MissingRollbackTarget",
            "SourceNotReady",
            "ValuesError",
            "ChartMutateError",
            "RESTClientError",
            "ResourceManagerError",
            "FactoryError",
            "ConfigFactoryErr",
            "StateError",
            "ReconcileError",
            "HealthCheckFailed",
            "HealthCheckCanceled",
        }
    ),
    "GitRepository": _SOURCE
    | {"GitOperationSucceeded", "GitOperationFailed", "EmptyGitRepository", "IncludeUnavailable", "IncludeChange"},
    "OCIRepository": _SOURCE | {"OCIArtifactPullFailed", "OCIArtifactLayerOperationFailed"},
    "HelmRepository": _SOURCE | {"IndexationFailed", "IndexationSucceed"},
    "Bucket": _SOURCE | {"BucketOperationSucceeded", "BucketOperationFailed"},
    "HelmChart": _SOURCE
    | {
        "ChartPullSucceeded",
        "ChartPackageSucceeded",
        "NoSourceArtifact",
        "NewChart",
        "InvalidChartReference",
        "ChartPullError",
        "MetadataPatchError",
        "ValuesFilesError",
        "DependencyBuildError",
        "ChartPackageError",
        "ChartVerificationError",
        "Unknown",
    },
}
"""Reasons that a kind may give besides the shared ones (flux.md 2.2 to 2.4)."""

EVENTS = frozenset(
    {
        "DriftCorrected",
        "DriftCorrectionFailed",
        "GarbageCollectionSucceeded",
        "HelmChartConfigured",
        "HelmChartCreated",
        "HelmChartDeleted",
        "HelmChartSyncErr",
        "InvalidConfig",
        "InventoryBuildFailed",
        "MetadataAppendFailed",
        "NamespaceCheckSkipped",
        "NewArtifact",
        "NotificationDispatchFailed",
        "SourceFetchFailed",
    }
)
"""Reasons that only events give (flux.md 3.5)."""


def reasons_of_kind(kind: str) -> frozenset[str]:
    """Return every reason that objects of a kind may give; nothing for a kind of which that is not known."""
    return _OF_KIND[kind] | _SHARED if kind in _OF_KIND else frozenset()


def kinds_that_give(reason: str) -> tuple[str, ...]:
    """Return the kinds that are known to give a reason, sorted."""
    return tuple(sorted(kind for kind in _OF_KIND if reason in reasons_of_kind(kind)))
