"""The admission policy of deploy/, evaluated by the CEL library that the rules use, as an API server would.

Limit: matchConstraints are looked up by group and operation only; Kubernetes' own CEL libraries are not there, so an
expression that needed one would fail here.
"""

from pathlib import Path
from typing import Any

import yaml
from cel_expr_python import cel

Json = dict[str, Any]
FILE = Path(__file__).resolve().parents[2] / "deploy/components/auto-fix/admission.yaml"
USER = "system:serviceaccount:fluxmedic:fluxmedic"
NAMES = ("object", "oldObject", "request", "variables")


class Policy:
    """The one policy."""

    def __init__(self) -> None:
        self.documents: list[Json] = list(yaml.safe_load_all(FILE.read_text()))
        self.spec: Json = self.documents[0]["spec"]
        self._env = cel.NewEnv(variables=dict.fromkeys(NAMES, cel.Type.DYN))
        self._programs: dict[str, Any] = {}

    def refuses(self, operation: str, resource: str, old: Json | None, new: Json | None, *, user: str = USER) -> str:
        """Return the first message that refuses the request; empty when it is admitted, or none of the policy's."""
        group = str((new or old or {})["apiVersion"]).rpartition("/")[0]
        rule = self.spec["matchConstraints"]["resourceRules"][0]
        if group not in rule["apiGroups"] or operation not in rule["operations"]:
            return ""
        request = {"operation": operation, "userInfo": {"username": user}, "resource": {"resource": resource}}
        values: Json = {"object": new, "oldObject": old, "request": request, "variables": {}}
        if not all(self._holds(each["expression"], values) for each in self.spec["matchConditions"]):
            return ""
        for variable in self.spec["variables"]:
            values["variables"][variable["name"]] = self._value(variable["expression"], values)
        for validation in self.spec["validations"]:
            if not self._holds(validation["expression"], values):
                return str(validation["message"])
        return ""

    def _holds(self, expression: str, values: Json) -> bool:
        found = self._value(expression, values)
        assert isinstance(found, bool), (expression, found)
        return found

    def _value(self, expression: str, values: Json) -> Any:
        if expression not in self._programs:
            self._programs[expression] = self._env.compile(expression)
        return self._programs[expression].eval(self._env.Activation(values)).plain_value()
