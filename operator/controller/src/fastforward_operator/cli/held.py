"""What an Envoy says that it has: its configuration dump, one value a resource.

In: the JSON of `/config_dump?include_eds`. Out: `Dump`. Called by proxy and collect. What Envoy starts with (static
resources) is left out: nobody sent it.

Source: envoy/admin/v3/config_dump_shared.proto.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from .envoykind import EnvoyKind

TARGET = "/config_dump?include_eds"
KINDS = {
    "Listener": EnvoyKind.LISTENER,
    "TypedExtensionConfig": EnvoyKind.EXTENSION,
    "ScopedRouteConfiguration": EnvoyKind.SCOPE,
    "RouteConfiguration": EnvoyKind.ROUTE,
    "Cluster": EnvoyKind.CLUSTER,
    "ClusterLoadAssignment": EnvoyKind.ENDPOINTS,
    "Secret": EnvoyKind.SECRET,
}
"""By the last part of a type URL."""
Json = Mapping[str, Any]


class Key(NamedTuple):
    """A kind, and the name by which Envoy knows the resource."""

    kind: EnvoyKind
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One resource that an Envoy has, or tries to get."""

    body: Json | None
    """What is in force; None while nothing is."""
    version: str = ""
    """Of what is in force; empty where Envoy does not say it: of scopes and endpoints."""
    warming: str | None = None
    """Version that waits for something before it takes force."""
    refused: str = ""
    """Envoy's words of the last version, where it did not take that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dump:
    """One Envoy's."""

    node: str
    fleet: str
    """The Edge that it is for, by its own words."""
    resources: Mapping[Key, Held]


def read_dump(document: Json) -> Dump:
    """Raises LookupError, TypeError or AttributeError on what is no configuration dump."""
    sections = {each["@type"].rpartition(".")[2]: each for each in document["configs"]}
    node = sections["BootstrapConfigDump"]["bootstrap"].get("node", {})
    found: dict[Key, Held] = {}
    for title, read in _READERS.items():
        if title in sections:
            found.update(read(sections[title]))
    # Its own certificate, by which it proves to us who it is, comes from files.
    for name in _own_secrets(sections["BootstrapConfigDump"]):
        found.pop(Key(EnvoyKind.SECRET, name), None)
    return Dump(node=node.get("id", ""), fleet=node.get("cluster", ""), resources=found)


def _own_secrets(bootstrap: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    """Names of the Secrets that an Envoy needs before anybody can send it any."""
    if isinstance(bootstrap, list):
        for each in bootstrap:
            yield from _own_secrets(each)
    elif isinstance(bootstrap, dict):
        if "sds_config" in bootstrap:
            yield str(bootstrap.get("name", ""))
        yield from _own_secrets(list(bootstrap.values()))


def name_of(body: Json) -> str:
    """The name by which Envoy knows a resource."""
    return str(body.get("cluster_name") or body.get("name", ""))


def readable(key: Key, body: Json | None) -> str:
    """A name for people: scopes go by that of their table."""
    return str((body or {}).get("route_configuration", {}).get("name") or key.name)


def _listeners(section: Json) -> Iterator[tuple[Key, Held]]:
    for each in section.get("dynamic_listeners", ()):
        active, warming, failed = (each.get(state, {}) for state in ("active_state", "warming_state", "error_state"))
        if active or warming or failed:
            yield (
                Key(EnvoyKind.LISTENER, each["name"]),
                Held(
                    body=active.get("listener"),
                    version=active.get("version_info", ""),
                    warming=warming.get("version_info", "") if warming else None,
                    refused=failed.get("details", ""),
                ),
            )


def _clusters(section: Json) -> Iterator[tuple[Key, Held]]:
    return _active_and_warming(EnvoyKind.CLUSTER, section, "clusters", "cluster")


def _secrets(section: Json) -> Iterator[tuple[Key, Held]]:
    for key, held in _active_and_warming(EnvoyKind.SECRET, section, "secrets", "secret"):
        # A secret that was asked for and has not come is there with an empty body of our name.
        yield key, Held(body={"name": key.name}, version=held.version, warming=held.warming, refused=held.refused)


def _active_and_warming(kind: EnvoyKind, section: Json, plural: str, field: str) -> Iterator[tuple[Key, Held]]:
    warming = {_name(each, field): each for each in section.get(f"dynamic_warming_{plural}", ())}
    active = {_name(each, field): each for each in section.get(f"dynamic_active_{plural}", ())}
    for name in {**active, **warming}:
        has, waits = active.get(name, {}), warming.get(name)
        yield (
            Key(kind, name),
            Held(
                body=has.get(field),
                version=has.get("version_info", ""),
                warming=waits.get("version_info", "") if waits is not None else None,
                refused=_refusal(has, waits or {}),
            ),
        )


def _name(each: Json, field: str) -> str:
    return str(each.get("name") or each.get(field, {}).get("name", ""))


def _extensions(section: Json) -> Iterator[tuple[Key, Held]]:
    return _plain(EnvoyKind.EXTENSION, section.get("ecds_filters", ()), "ecds_filter")


def _routes(section: Json) -> Iterator[tuple[Key, Held]]:
    return _plain(EnvoyKind.ROUTE, section.get("dynamic_route_configs", ()), "route_config")


def _endpoints(section: Json) -> Iterator[tuple[Key, Held]]:
    return _plain(EnvoyKind.ENDPOINTS, section.get("dynamic_endpoint_configs", ()), "endpoint_config")


def _plain(kind: EnvoyKind, found: Iterable[Json], field: str) -> Iterator[tuple[Key, Held]]:
    for each in found:
        body = each.get(field, {})
        if name := name_of(body):
            yield Key(kind, name), Held(body=body, version=each.get("version_info", ""), refused=_refusal(each))


def _scopes(section: Json) -> Iterator[tuple[Key, Held]]:
    """Each list of scopes has one version, which is that of the last answer: it says nothing of one scope."""
    for listed in section.get("dynamic_scoped_route_configs", ()):
        for body in listed.get("scoped_route_configs", ()):
            yield Key(EnvoyKind.SCOPE, body["name"]), Held(body=body, refused=_refusal(listed))


def _refusal(*states: Json) -> str:
    return next((said for each in states if (said := each.get("error_state", {}).get("details", ""))), "")


_READERS: Mapping[str, Callable[[Json], Iterator[tuple[Key, Held]]]] = {
    "ListenersConfigDump": _listeners,
    "EcdsConfigDump": _extensions,
    "ScopedRoutesConfigDump": _scopes,
    "RoutesConfigDump": _routes,
    "ClustersConfigDump": _clusters,
    "EndpointsConfigDump": _endpoints,
    "SecretsConfigDump": _secrets,
}
