"""Names of things: which object in which cluster, and which test held for it.

Limit: a ref says nothing about whether the object exists; that is a question for the World.
"""

import hashlib
from typing import NamedTuple, NewType

IncidentId = NewType("IncidentId", str)
EffectId = NewType("EffectId", str)
Target = NewType("Target", str)

ID_LENGTH = 12
"""Hex digits of a derived id: 48 bits, a collision among 100,000 incidents is under one in 50,000."""


class ObjectRef(NamedTuple):
    """One Kubernetes object by name; the version is left out because Flux moves between versions.

    A tuple, because refs are the keys of everything: hashing and comparing them was a third of the core's work.
    """

    cluster: str
    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """Print as people write it: Kind/namespace/name, or Kind/name when cluster-scoped."""
        return "/".join(part for part in (self.kind, self.namespace, self.name) if part)

    @property
    def place(self) -> str:
        """Return namespace/name, the form Flux uses in its messages."""
        return "/".join(part for part in (self.namespace, self.name) if part)


class Fingerprint(NamedTuple):
    """The identity of a finding: one test holding for one object."""

    test: str
    ref: ObjectRef

    def __str__(self) -> str:
        """Print as test@object."""
        return f"{self.test}@{self.ref}"


def derived_id(*parts: object) -> str:
    """Return a stable id made of the text of the parts; the same parts always give the same id."""
    joined = "\x1f".join(str(part) for part in parts)
    return hashlib.sha256(joined.encode()).hexdigest()[:ID_LENGTH]
