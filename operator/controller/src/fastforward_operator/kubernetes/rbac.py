"""What the operator may do on an API server, and nothing besides: derived from what it watches and writes.

Out: RBAC documents. Called by generate. A test asks a real API server what they permit, and runs the operator by them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fastforward_crds as crds
from fastforward_crds import gatewayapi

from fastforward_operator.providers.kubernetes import WATCHED

from . import authority, kinds, webhookconfig

NAME = "fastforward-operator"
NAMESPACE = "fastforward-system"
_RBAC = "rbac.authorization.k8s.io"


def rules() -> Iterator[dict[str, Any]]:
    """Yields the rules: read what is watched, write statuses, tell rejections as Events."""
    groups: dict[str, list[str]] = {}
    for watched in WATCHED:
        groups.setdefault(watched.api_version.rpartition("/")[0], []).append(watched.plural)
    for group, plurals in sorted(groups.items()):
        # An Event names its object by an id that has to be looked up.
        verbs = ["get", "list", "watch"] if group in (crds.GROUP, gatewayapi.GROUP) else ["list", "watch"]
        yield {"apiGroups": [group], "resources": sorted(plurals), "verbs": verbs}
    statuses = sorted(f"{kind.plural}/status" for kind in crds.KINDS)
    yield {"apiGroups": [crds.GROUP], "resources": statuses, "verbs": ["patch"]}
    foreign = sorted(f"{plural}/status" for plural in gatewayapi.PLURALS.values())
    yield {"apiGroups": [gatewayapi.GROUP], "resources": foreign, "verbs": ["patch"]}
    yield {"apiGroups": [""], "resources": ["events"], "verbs": ["create"]}


def documents() -> Iterator[dict[str, Any]]:
    """Yields the service account, its role, and what binds them."""
    account = {"name": NAME, "namespace": NAMESPACE}
    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account}
    yield from bound("ClusterRole", {"name": NAME}, [*rules(), webhook_rule()], account)
    yield from bound("Role", account, list(own_rules()), account)
    yield caller_binding(account)


def own_rules() -> Iterator[dict[str, Any]]:
    """Yields the rules for the operator's own namespace.

    Of the operators of one namespace one writes, all sign by one authority, and what serves traffic runs there.
    """
    yield lease_rule()
    yield from authority_rules()
    yield from data_plane_rules()


def caller_binding(account: dict[str, str]) -> dict[str, Any]:
    """Returns what lets the webhook read by whom the API server is certified: a role of Kubernetes' own."""
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": NAME, "namespace": "kube-system"},
        "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": "extension-apiserver-authentication-reader"},
        "subjects": [{"kind": "ServiceAccount", **account}],
    }


def lease_rule() -> dict[str, Any]:
    """Returns the rule for leader election."""
    return {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update"]}


def authority_rules() -> Iterator[dict[str, Any]]:
    """Yields the rule for the authority's Secret: no other is ever replaced."""
    yield {"apiGroups": [""], "resources": ["secrets"], "resourceNames": [authority.NAME], "verbs": ["update"]}


def data_plane_rules() -> Iterator[dict[str, Any]]:
    """Yields the rules for the pods of the data plane and what they need; their names depend on users' objects."""
    groups: dict[str, list[str]] = {}
    for (api_version, _), plural in kinds.PLURALS.items():
        groups.setdefault(api_version.rpartition("/")[0], []).append(plural)
    verbs = ["get", "list", "create", "patch", "delete"]
    for group, plurals in sorted(groups.items()):
        yield {"apiGroups": [group], "resources": sorted(plurals), "verbs": verbs}
    yield {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["watch"]}
    # Why they don't start, they alone can say.
    yield {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}


def namespaces_rule(*names: str) -> dict[str, Any]:
    """Returns the rule for seeing whether namespaces are still there: the rights in one go with it."""
    return {"apiGroups": [""], "resources": ["namespaces"], "resourceNames": list(names), "verbs": ["get"]}


def webhook_rule() -> dict[str, Any]:
    """Returns the rule for telling the API server whom to trust as the webhook."""
    configurations = {"apiGroups": ["admissionregistration.k8s.io"], "resources": ["validatingwebhookconfigurations"]}
    return {**configurations, "resourceNames": [webhookconfig.NAME], "verbs": ["get", "patch"]}


def bound(
    kind: str, metadata: dict[str, str], granted: list[dict[str, Any]], account: dict[str, str]
) -> Iterator[dict[str, Any]]:
    """Yields a role and its binding to the service account."""
    yield {"apiVersion": f"{_RBAC}/v1", "kind": kind, "metadata": metadata, "rules": granted}
    yield {
        "apiVersion": f"{_RBAC}/v1",
        "kind": f"{kind}Binding",
        "metadata": metadata,
        "roleRef": {"apiGroup": _RBAC, "kind": kind, "name": NAME},
        "subjects": [{"kind": "ServiceAccount", **account}],
    }
