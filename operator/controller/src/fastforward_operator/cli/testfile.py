"""Route tests as they are written: `*.test.yaml`, a list of requests with what is expected of each.

In: files. Out: `Case`s, each with its place, or an error with file, line and field. Called by route_test.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from fastforward_crds import Model, parse_instant
from fastforward_crds.formats import METHOD, URL
from fastforward_crds.lists import Items
from fastforward_crds.schedule import Instant
from pydantic import Field

from fastforward_operator.providers.tree import list_tree
from fastforward_operator.supervisor.yamlfile import FileProblemError, read_model

SUFFIXES = (".test.yaml", ".test.yml")


class ApiKeyIdentity(Model):
    """Who an API key stands for."""

    tenant: str = ""
    subject: str = ""
    roles: Annotated[tuple[str, ...], Items(most=64)] = ()
    permissions: Annotated[tuple[str, ...], Items(most=64)] = ()


class CaseRequest(Model):
    """What a client sends."""

    method: Annotated[str, METHOD] = "GET"
    url: Annotated[str, URL]
    """With scheme and host."""
    headers: dict[str, str] = Field(default_factory=dict)
    body_bytes: Annotated[int, Field(ge=0)] = 0
    """Length of the body."""
    address: str = "127.0.0.1"
    """The client's address."""
    listener: str = ""
    """Name of the Edge's listener that it comes in by."""
    token: dict[str, Any] | None = None
    """Claims of a token that is signed as the route's first issuer; `iss`, `aud` and `exp` may be given."""
    api_key: ApiKeyIdentity | None = None
    """Whom a valid API key stands for."""
    external: Annotated[int, Field(ge=200, le=599)] = 200
    """Status that services which would be asked are taken to answer: none is asked."""
    times: Annotated[int, Field(ge=1, le=100_000)] = 1
    """How often it is sent at once; the last one is judged. For rate limits."""


class Expectation(Model):
    """What is expected; what is left out may be anything."""

    status: Annotated[int, Field(ge=100, le=599)] | None = None
    """200 for a request that goes to an upstream."""
    reason: str | None = None
    """STAGE/REASON of a refusal."""
    route: str | None = None
    """NAMESPACE/NAME."""
    rule: str | None = None
    tenant: str | None = None
    upstreams: dict[str, int] | None = None
    """NAMESPACE/NAME of each Upstream that may get the request, with its weight."""
    upstream_path: str | None = None
    """Path and query that the upstream sees."""
    request_headers: dict[str, str | None] = Field(default_factory=dict)
    """Headers that the upstream gets; null for none of that name."""
    would_refuse: Annotated[tuple[str, ...], Items(most=64)] | None = None
    """STAGE/REASON of what policies in the shadow would have refused, in their order."""
    response_headers: dict[str, str | None] = Field(default_factory=dict)
    """Headers that the gateway writes into the answer; null for none of that name."""


class WrittenCase(Model):
    """One test."""

    name: str
    """A claim, shown in the report."""
    at: Instant | None = None
    """When it is sent; now, when absent. For rules that hold at some times only."""
    request: CaseRequest
    expect: Expectation


class CaseFile(Model):
    """One file."""

    tests: Annotated[tuple[WrittenCase, ...], Items(most=10_000, least=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One test and where it is written."""

    place: str
    """FILE:LINE."""
    file: str
    name: str
    request: CaseRequest
    expect: Expectation
    at: datetime | None = None
    edge: str = ""
    """NAMESPACE/NAME of the Edge that it is sent to, with @PORT of a Gateway; empty where the URL tells."""


def read_cases(directories: Sequence[Path]) -> list[Case]:
    """Every test below the directories, in order; raises FileProblemError."""
    return [case for path in _find(directories) for case in _read(path)]


def _find(directories: Sequence[Path]) -> Iterator[Path]:
    """As resources are found, so that no directory has some whose tests are left out."""
    for directory in directories:
        tree = list_tree([directory], lambda name: name.endswith(SUFFIXES) and not name.startswith("."))
        for folder, why in tree.closed.items():
            raise FileProblemError(f"{folder}: The folder can't be read: {why}.")
        yield from sorted(map(Path, tree.files))


def _read(path: Path) -> Iterator[Case]:
    written = read_model(path, CaseFile)
    for index, case in enumerate(written.value.tests):
        place = written.place(f"tests[{index}]")
        at = parse_instant(case.at) if case.at is not None else None
        yield Case(place=place, file=str(path), name=case.name, request=case.request, expect=case.expect, at=at)
