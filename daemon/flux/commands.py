"""Commands for people, as flux's and Kubernetes' command lines want them.

Limit: only those that depend on the kind; a rule's own next step stands in its file.
"""

from daemon.flux.kinds import EXTENSIONS, OPERATOR
from daemon.model.refs import ObjectRef

WORDS = {
    "GitRepository": "source git",
    "OCIRepository": "source oci",
    "HelmRepository": "source helm",
    "HelmChart": "source chart",
    "Bucket": "source bucket",
    "ImageRepository": "image repository",
    "ImagePolicy": "image policy",
    "ImageUpdateAutomation": "image update",
}
"""How flux's command line calls a kind, where that is not its name in small letters."""
PAUSED_BY = {EXTENSIONS: "source.extensions.fluxcd.io/reconcile", OPERATOR: "fluxcd.controlplane.io/reconcile"}
"""API group to the annotation that suspends its objects."""


def resuming(ref: ObjectRef) -> str:
    """Return the command that ends a suspension: of kinds without spec.suspend it is an annotation (flux.md 2.5)."""
    if ref.group in PAUSED_BY:
        where = f"-n {ref.namespace} " if ref.namespace else ""
        return f"kubectl {where}annotate {ref.kind.lower()}.{ref.group} {ref.name} {PAUSED_BY[ref.group]}-"
    return f"flux resume {WORDS.get(ref.kind, ref.kind.lower())} {ref.name} -n {ref.namespace}"
