"""Where what an Envoy has differs from what it should have.

In: wanted resources, a Dump, what the Envoy refused by the operator's account. Out: Differences, none when all is as it
should be. Called by proxy. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from .envoykind import EnvoyKind
from .held import Held, Json, Key, readable
from .jsontexts import texts_of

_ON_DEMAND = {EnvoyKind.EXTENSION, EnvoyKind.ROUTE, EnvoyKind.ENDPOINTS, EnvoyKind.SECRET}
"""An Envoy asks for these by name, when something that it has names them."""
_ORDER = tuple(EnvoyKind)


class Verdict(StrEnum):
    """What is wrong with one resource; the worst that holds is told."""

    REFUSED = "rejected"
    MISSING = "missing"
    WARMING = "warming"
    OTHER = "other version"
    EXTRA = "extra"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One resource that an Envoy should have."""

    version: str
    body: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One resource that is not as it should be."""

    key: Key
    name: str
    """For people."""
    verdict: Verdict
    detail: str
    wanted: str = ""
    """Version that it should have."""
    held: str = ""
    """Version that it has."""


def differences(
    wanted: Mapping[Key, Wanted],
    held: Mapping[Key, Held],
    refused: Mapping[Key, str],
    equal: Callable[[Json, Json], bool],
) -> list[Difference]:
    """Every difference, by kind and name; `equal` compares contents where Envoy tells no version."""
    needed = _needed(wanted)
    found: list[Difference] = []
    for key in {**wanted, **held}:
        wants, has = wanted.get(key), held.get(key)
        words = refused.get(key) or (has.refused if has is not None else "")
        if wants is None:
            found.append(_difference(key, None, has, Verdict.EXTRA, "it should not be there"))
        elif has is None or has.body is None:
            found += _absent(key, wants, has, words) if key in needed or words else ()
        else:
            found += _present(key, wants, has, words, equal)
    return sorted(found, key=lambda each: (_ORDER.index(each.key.kind), each.name))


def _needed(wanted: Mapping[Key, Wanted]) -> set[Key]:
    """What an Envoy asks for: of some kinds all, of others what something names; clusters name their endpoints."""
    named = {text for each in wanted.values() for text in _texts(each.body)}
    clusters = {key.name for key in wanted if key.kind is EnvoyKind.CLUSTER}
    return {
        key
        for key in wanted
        if key.kind not in _ON_DEMAND or key.name in (clusters if key.kind is EnvoyKind.ENDPOINTS else named)
    }


def _present(
    key: Key, wanted: Wanted, held: Held, words: str, equal: Callable[[Json, Json], bool]
) -> Iterator[Difference]:
    if _same(key, wanted, held, equal):
        return
    if words:
        yield _difference(key, wanted, held, Verdict.REFUSED, words)
    elif held.warming == wanted.version:
        yield _difference(key, wanted, held, Verdict.WARMING, "what is in force is an earlier version")
    else:
        detail = "" if held.version else "its content is another one"
        yield _difference(key, wanted, held, Verdict.OTHER, detail)


def _absent(key: Key, wanted: Wanted, held: Held | None, words: str) -> Iterator[Difference]:
    if words:
        yield _difference(key, wanted, held, Verdict.REFUSED, words)
    elif held is not None and held.warming is not None:
        yield _difference(key, wanted, held, Verdict.WARMING, "it waits for what it needs")
    else:
        yield _difference(key, wanted, held, Verdict.MISSING, "it does not have it")


def _same(key: Key, wanted: Wanted, held: Held, equal: Callable[[Json, Json], bool]) -> bool:
    if held.version:
        return held.version == wanted.version
    if key.kind is EnvoyKind.ENDPOINTS:
        return sorted(addresses(wanted.body)) == sorted(addresses(held.body or {}))
    return equal(wanted.body, held.body or {})


def addresses(assignment: Json) -> list[str]:
    """Where the endpoints of a ClusterLoadAssignment are, and their weights."""
    return [
        f"{_place(each['endpoint']['address'])} weight {each.get('load_balancing_weight', 1)}"
        for locality in assignment.get("endpoints", ())
        for each in locality.get("lb_endpoints", ())
    ]


def _place(address: Json) -> str:
    there = address.get("socket_address")
    return f"{there['address']}:{there.get('port_value', 0)}" if there else str(address.get("pipe", {}).get("path"))


def _difference(key: Key, wanted: Wanted | None, held: Held | None, verdict: Verdict, detail: str) -> Difference:
    body = wanted.body if wanted is not None else held.body if held is not None else None
    return Difference(
        key=key,
        name=readable(key, body),
        verdict=verdict,
        detail=detail,
        wanted=wanted.version if wanted is not None else "",
        held=held.version if held is not None else "",
    )


def _texts(value: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    """All texts in a value but for what it is called itself, at its top."""
    inner: Iterable[Any] = (each for name, each in value.items() if name not in ("name", "cluster_name"))
    for each in inner:
        yield from texts_of(each)
