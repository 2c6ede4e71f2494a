"""Keeps the definitions of our kinds from going back: an older set would drop fields that objects already have.

Out: a ValidatingAdmissionPolicy and its binding. Called by generate, and by whoever installs the operator. The API
server judges by itself, so it holds while no operator runs. Source: "Validating Admission Policy" in Kubernetes'
documentation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fastforward_crds as crds

NAME = f"no-downgrade.{crds.GROUP}"
BUNDLE_VERSION = f"{crds.GROUP}/bundle-version"
"""Annotation of a definition: which release it is of, such as 1.4.0."""
ALLOW = f"{crds.GROUP}/allow-downgrade"
"""A definition that is written with this annotation and the value `true` is not looked at."""
_VERSION = "admissionregistration.k8s.io/v1"


def _annotation(of: str, name: str) -> str:
    there = f"has({of}.metadata.annotations) && '{name}' in {of}.metadata.annotations"
    return f"({there} ? {of}.metadata.annotations['{name}'] : '')"


def _numbers(of: str) -> str:
    """Major, minor and patch; what a pre-release adds does not count."""
    return f"{_annotation(of, BUNDLE_VERSION)}.findAll('[0-9]+', 3).map(number, int(number))"


_NOT_OLDER = (
    "variables.old.size() < 3 || (variables.new.size() == 3 && (variables.new[0] > variables.old[0]"
    " || (variables.new[0] == variables.old[0] && (variables.new[1] > variables.old[1]"
    " || (variables.new[1] == variables.old[1] && variables.new[2] >= variables.old[2])))))"
)
_STILL_SERVED = (
    "oldObject.spec.versions.filter(old, old.served)"
    ".all(old, object.spec.versions.exists(new, new.name == old.name && new.served))"
)
_STILL_STORED = (
    "!has(oldObject.status) || !has(oldObject.status.storedVersions)"
    " || oldObject.status.storedVersions.all(old, object.spec.versions.exists(new, new.name == old))"
)
_REMEDY = f"If that is meant, annotate the definition with {ALLOW}=true."


def documents() -> Iterator[dict[str, Any]]:
    """Yields the policy and what puts it in force."""
    yield {
        "apiVersion": _VERSION,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": NAME},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": ["apiextensions.k8s.io"],
                        "apiVersions": ["v1"],
                        "operations": ["UPDATE"],
                        "resources": ["customresourcedefinitions"],
                    }
                ]
            },
            "matchConditions": [
                {"name": "ours", "expression": f"object.spec.group == '{crds.GROUP}'"},
                {"name": "not-meant", "expression": f"{_annotation('object', ALLOW)} != 'true'"},
            ],
            "variables": [
                {"name": "old", "expression": _numbers("oldObject")},
                {"name": "new", "expression": _numbers("object")},
            ],
            "validations": [
                _validation(_NOT_OLDER, f"These definitions are older than those installed ({BUNDLE_VERSION})."),
                _validation(_STILL_SERVED, "A version that is served would be taken away from those who use it."),
                _validation(_STILL_STORED, "Objects are stored in a version that would be gone."),
            ],
        },
    }
    yield {
        "apiVersion": _VERSION,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": NAME},
        "spec": {"policyName": NAME, "validationActions": ["Deny"]},
    }


def _validation(expression: str, message: str) -> dict[str, Any]:
    return {"expression": expression, "message": f"{message} {_REMEDY}"}
