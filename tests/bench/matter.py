"""What the measurements are made on: objects as an API server shows them, and rule files of a given size."""

from datetime import UTC, datetime, timedelta
from typing import Any

Json = dict[str, Any]

CLUSTER = "bench"
NAMESPACE = "apps"
T0 = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
INVENTORY = 20
"""Entries of an inventory: a Kustomization of 5 to 6 kB, managed fields included."""
RULE = """
apiVersion: fluxmedic.dev/v1
kind: Rule
metadata: {{name: rule-{number}}}
spec:
  match: {{kind: Kustomization}}
  when: >-
    health == 'Failed' && ready.reason == 'Reason{number}'
    || ready.message.contains('nobody ever says this {number}') && !suspended
  severity: warning
  summary: "{{{{ ref.namespace }}}}/{{{{ ref.name }}}} fails: {{{{ ready.message }}}}"
"""
FAST_RULE = """
apiVersion: fluxmedic.dev/v1
kind: Rule
metadata: {name: failed}
spec:
  match: {kind: [Kustomization, GitRepository], health: Failed}
  severity: critical
  summary: "{{ ref.namespace }}/{{ ref.name }} fails: {{ ready.message }}"
  next_step: "flux get all -n {{ ref.namespace }}"
"""


def rules(number: int) -> str:
    """Return so many rules for one kind, each with an expression of its own; the first fires on any failure."""
    return "---".join([FAST_RULE, *(RULE.format(number=each) for each in range(1, number))])


def kustomization(index: int, *, version: int = 0, reason: str = "", needs: tuple[str, ...] = ()) -> Json:
    """Return a Kustomization as it comes over a watch; with a reason it fails."""
    name, status = f"app-{index:05}", "False" if reason else "True"
    message = f"kustomize build failed: {reason}" if reason else "Applied revision: main@sha1:4f5cd2e"
    condition = {
        "type": "Ready",
        "status": status,
        "reason": reason or "ReconciliationSucceeded",
        "message": message,
        "lastTransitionTime": "2026-03-01T02:00:00Z",
        "observedGeneration": 1,
    }
    entries = [{"id": f"{NAMESPACE}_{name}-{each}_apps_Deployment", "v": "v1"} for each in range(INVENTORY)]
    return {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": f"00000000-0000-4000-8000-{index:012}",
            "resourceVersion": str(version or index + 1),
            "generation": 1,
            "creationTimestamp": "2026-03-01T01:00:00Z",
            "finalizers": ["finalizers.fluxcd.io"],
            "labels": {"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": NAMESPACE},
            "managedFields": [_managed(), _managed()],
        },
        "spec": {
            "interval": "10m0s",
            "retryInterval": "1m0s",
            "timeout": "5m0s",
            "path": f"./apps/{name}",
            "prune": True,
            "sourceRef": {"kind": "GitRepository", "name": "flux-system", "namespace": "flux-system"},
            "dependsOn": [{"name": each} for each in needs],
        },
        "status": {
            "conditions": [condition],
            "observedGeneration": 1,
            "lastAppliedRevision": "main@sha1:4f5cd2e",
            "lastAttemptedRevision": "main@sha1:4f5cd2e",
            "inventory": {"entries": entries},
        },
    }


def _managed() -> Json:
    fields: Json = {f"f:field{each}": {} for each in range(40)}
    return {
        "manager": "kustomize-controller",
        "operation": "Apply",
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "time": "2026-03-01T02:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:spec": fields, "f:status": fields},
    }


def later(seconds: float) -> datetime:
    """Return the moment so many seconds after the beginning of virtual time."""
    return T0 + timedelta(seconds=seconds)
