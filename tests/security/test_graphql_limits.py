"""However a client says how much it wants, no field asks a target for a page above the limit of its rule."""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qs, urlsplit

import pytest
from fastforward_graphql import GraphqlAdapter
from fastforward_graphql.document import read_document
from fastforward_graphql.measure import Pricing
from fastforward_graphql.schema import compile_sdl
from fastforward_kit.http import Request, Response
from fastforward_pipeline.compiled.schema import Schema
from fastforward_pipeline.message import Answered, Failed

from fastforward.message.v1 import envelope_pb2
from fastforward.snapshot.v1 import snapshot_pb2
from support.messages import reply

LIMITS = snapshot_pb2.GraphqlLimits(depth=10, complexity=500, aliases=10, batch=5, page_size=100)
DISPATCH = snapshot_pb2.AdapterDispatch(
    schema=snapshot_pb2.SchemaVersionRef(schema="shop", version="v1"), graphql=LIMITS
)
KINDS = ("Int", "Float", "String", "[Int]", "Any")
SDL = "\n".join(
    (
        "scalar Any",
        "type Book { id: ID! }",
        "type Query {",
        *(
            f'  by{place}(first: {kind}): [Book!] @http(method: "GET", path: "/books")'
            for place, kind in enumerate(KINDS)
        ),
        "}",
    )
)
SIZES = (
    "100000",
    "100000.0",
    "1e5",
    "1E5",
    "2147483647.0",
    "100.5",
    "1e18",
    "1e999",
    "-1e999",
    "101",
    "100",
    "1e2",
    "-1",
    '"100000"',
    '" 1e5 "',
    '"0x186A0"',
    '"100"',
    "[100000]",
    '[1, ["100000"]]',
)


class Target:
    """Notes how large the pages are that it is asked for."""

    def __init__(self) -> None:
        self.pages: list[float] = []

    async def exchange(self, envelope: envelope_pb2.Envelope) -> Answered | Failed:
        query = parse_qs(urlsplit(envelope.header.source.target).query)
        self.pages += map(_read, query.get("first", ()))
        return Answered(reply(b"[]"))

    async def listen(self, envelope: envelope_pb2.Envelope) -> Failed:
        raise NotImplementedError(envelope)


def _read(text: str) -> float:
    """As generously as any target."""
    try:
        return float(text)
    except ValueError:
        return float(int(text, 0)) if text.startswith("0x") else max(map(float, re.findall(r"\d+", text)), default=1.0)


def documents() -> list[str]:
    """Bodies of requests, by hand: JSON has one way to write a number, and clients have several."""
    found = []
    for place, kind in enumerate(KINDS):
        for size in SIZES:
            variable, default, literal = (
                f"query($n: {kind}) {{ by{place}(first: $n) {{ id }} }}",
                f"query($n: {kind} = {size}) {{ by{place}(first: $n) {{ id }} }}",
                f"{{ by{place}(first: {size}) {{ id }} }}",
            )
            found.append(f'{{"query": {json.dumps(variable)}, "variables": {{"n": {size}}}}}')
            found += [json.dumps({"query": each}) for each in (default, literal)]
    return found


async def asked_for() -> list[float]:
    """The sizes of pages that come through, sorted."""
    target, versions = Target(), {"v1": SDL.encode()}
    schema = Schema(name="shop", format=snapshot_pb2.SCHEMA_FORMAT_GRAPHQL, versions=versions)
    adapter = GraphqlAdapter(target, lambda _: schema, lambda: 1000.0, lambda: "m-1")
    for body in documents():
        request = Request("POST", "/graphql", {"content-type": ("application/json",)}, body.encode())
        answer = adapter(request, DISPATCH)
        told = answer if isinstance(answer, Response) else await answer
        assert told.status in {200, 400}, body
    return sorted(target.pages)


def test_what_is_left_out_counts_as_the_default_of_the_schema() -> None:
    """As it is executed: an argument whose variable is absent is as one that is left out."""
    books = 'books(first: Int = 50, last: Int): [Book!] @http(method: "GET", path: "/b")'
    schema = compile_sdl(f"type Book {{ id: ID! }} type Query {{ {books} }}".encode()).schema
    left_out = read_document(schema, "{ books(last: 1) { id } }").costs[""]
    assert Pricing({}, 100).count(left_out) == 51
    costs = read_document(schema, "query($n: Int) { books(first: $n, last: 1) { id } }").costs[""]
    assert [Pricing(given, 100).count(costs) for given in ({}, {"n": 7}, {"n": None})] == [51, 8, 2]


async def test_no_page_is_above_the_limit() -> None:
    pages = await asked_for()
    assert 100 in pages
    assert pages[-1] <= LIMITS.page_size, pages


async def test_the_check_sees_a_build_that_takes_every_page_for_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pricing, "_size", lambda pricing, _: pricing.largest)
    assert (await asked_for())[-1] > LIMITS.page_size
