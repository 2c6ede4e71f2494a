"""What everything comes to: what objects say, what was made for them, and what a proxy holds.

In: an API server, a namespace, an Envoy. Out: a mapping that is equal after a failure and without one. Times, and what
the API server chooses by itself, are left out. Called by tests of failures.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import fastforward_crds as crds
from fastforward_operator.kubernetes import kinds, rbac
from fastforward_operator.kubernetes.client import Client, pages

from support.envoy import Envoy

Outcome = dict[str, Any]
_CHOSEN = ("clusterIP", "clusterIPs", "nodePort", "healthCheckNodePort")
_MANAGED = "app.kubernetes.io/managed-by=fastforward"


async def outcome(api: Client, namespace: str, envoy: Envoy | None = None) -> Outcome:
    """As it is now."""
    return {
        **{f"status of {name}": status async for name, status in statuses(api, namespace)},
        **{f"made: {name}": spec async for name, spec in made(api)},
        **({f"held: {name}": version async for name, version in held(envoy)} if envoy is not None else {}),
    }


async def statuses(api: Client, namespace: str) -> AsyncGenerator[tuple[str, Any]]:
    """What every object of ours says, and of which generation."""
    for kind in crds.KINDS:
        path = f"/apis/{crds.API_VERSION}/namespaces/{namespace}/{kind.plural}"
        async for each in listed(api, path):
            metadata = each["metadata"]
            said = {"generation": metadata["generation"], **_without(each.get("status", {}), "lastTransitionTime")}
            yield f"{kind.name} {metadata['name']}", said


async def made(api: Client) -> AsyncGenerator[tuple[str, Any]]:
    """What stands for Edges and Workloads; of Secrets, which files."""
    for api_version, kind in kinds.PLURALS:
        if api_version == kinds.TRAEFIK:
            # Not installed where failures are tried.
            continue
        async for each in listed(api, kinds.collection(api_version, kind, rbac.NAMESPACE), _MANAGED):
            content = sorted(each.get("data", ())) if kind == "Secret" else _without(each.get("spec"), *_CHOSEN)
            yield f"{kind} {each['metadata']['name']}", content


async def held(envoy: Envoy) -> AsyncGenerator[tuple[str, str]]:
    """Version of every resource that a proxy was given, by its name."""
    dump = json.loads(await envoy.admin("/config_dump?include_eds"))
    for part in dump["configs"]:
        for name, version in _versions(part):
            yield f"{part['@type'].rpartition('.')[2]} {name}", version


def _versions(part: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - JSON
    if isinstance(part, list):
        for each in part:
            yield from _versions(each)
    elif isinstance(part, dict):
        if "scoped_route_configs" in part:
            # Their version counts updates: what they hold is compared.
            for scope in part["scoped_route_configs"]:
                yield str(scope["name"]), json.dumps(scope, sort_keys=True)
            return
        if part.get("version_info"):
            yield _name(part), str(part["version_info"])
        for each in part.values():
            yield from _versions(each)


def _name(part: dict[str, Any]) -> str:
    inner = next((value for value in part.values() if isinstance(value, dict)), {})
    return str(part.get("name") or inner.get("name") or inner.get("cluster_name") or json.dumps(inner)[:200])


async def listed(api: Client, path: str, selector: str = "") -> AsyncGenerator[dict[str, Any]]:
    """Every object of a list."""
    async for page in pages(api, path, selector):
        for each in page.objects:
            yield each


def _without(value: Any, *names: str) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return {name: _without(inner, *names) for name, inner in value.items() if name not in names}
    if isinstance(value, list):
        return [_without(inner, *names) for inner in value]
    return value
