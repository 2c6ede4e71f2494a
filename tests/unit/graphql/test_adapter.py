"""GraphQL to messages and back: what is sent, how little of it, and what hostile clients get."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from fastforward_graphql import GraphqlAdapter, SchemaError, bind
from fastforward_graphql.document import read_document
from fastforward_graphql.measure import Pricing
from fastforward_graphql.request import choose_media_type
from fastforward_graphql.schema import compile_sdl
from fastforward_kit.http import Request, Response
from fastforward_pipeline.compiled.schema import Schema
from fastforward_pipeline.message import Answered, Failed

from fastforward.message.v1 import envelope_pb2, error_pb2
from fastforward.snapshot.v1 import snapshot_pb2
from support.messages import reply

SDL = """
type Query {
  book(id: ID!, tags: [String!], deep: Deep): Book @http(method: "GET", path: "/books/{id}")
  orders(first: Int, last: Int): [Order!]! @http(method: "GET", path: "/orders")
  find(number: Int): Book @http(method: "GET", path: "/find")
}
type Mutation {
  place(input: OrderInput!): Order @http(method: "POST", path: "/orders")
  rename(id: ID!, title: String!): Book @http(method: "PUT", path: "/books/{id}")
  remove(id: ID!, force: Boolean): Book @http(method: "DELETE", path: "/books/{id}")
}
input OrderInput { sku: String! }
input Deep { deep: Deep }
type Order {
  id: ID!
  bookId: ID!
  book: Book @http(method: "GET", path: "/books/{bookId}", batch: "ids")
  orders(first: Int): [Order!] @http(method: "GET", path: "/orders")
}
type Book { id: ID!, title: String, author: Author }
type Author { name: String! }
"""
ORDERS = [{"id": str(n), "bookId": f"b{n % 3}"} for n in range(9)]


@dataclass
class Stages:
    """Takes each message; answers by its target, or as the test says."""

    outcome: Answered | Failed | None = None
    messages: list[envelope_pb2.Envelope] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def exchange(self, envelope: envelope_pb2.Envelope) -> Answered | Failed:
        self.messages.append(envelope)
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        await asyncio.sleep(0.001)
        self.at_once -= 1
        return self.outcome or Answered(reply(json.dumps(self.answer(envelope)).encode()))

    def answer(self, envelope: envelope_pb2.Envelope) -> object:
        target = urlsplit(envelope.header.source.target)
        if target.path == "/orders" and envelope.header.source.method == "GET":
            return ORDERS
        if target.path == "/books":
            return [{"id": key, "title": key} for key in reversed(parse_qs(target.query)["ids"][0].split(","))]
        return {"id": target.path.rpartition("/")[2], "bookId": "b9", "title": "T"}

    async def listen(self, envelope: envelope_pb2.Envelope) -> AsyncIterator[envelope_pb2.Envelope] | Failed:
        raise NotImplementedError

    def targets(self) -> list[str]:
        return [f"{each.header.source.method} {each.header.source.target}" for each in self.messages]


@dataclass
class Server:
    """An adapter and its schema, which a test may change."""

    stages: Stages = field(default_factory=Stages)
    schema: Schema | None = None
    limits: snapshot_pb2.GraphqlLimits = field(
        default_factory=lambda: snapshot_pb2.GraphqlLimits(
            depth=12, complexity=1000, aliases=30, batch=10, page_size=100
        )
    )

    def __post_init__(self) -> None:
        self.load(SDL)
        self.adapter = GraphqlAdapter(self.stages, lambda _: self.schema, lambda: 1000.0, lambda: "m-1")

    def load(self, sdl: str | bytes) -> None:
        document = sdl if isinstance(sdl, bytes) else sdl.encode()
        self.schema = Schema(name="shop", format=snapshot_pb2.SCHEMA_FORMAT_GRAPHQL, versions={"v1": document})

    async def send(self, method: str, target: str, body: bytes = b"", **headers: str) -> Response:
        made: dict[str, tuple[str, ...]] = {name.replace("_", "-"): (value,) for name, value in headers.items()}
        ref = snapshot_pb2.SchemaVersionRef(schema="shop", version="v1")
        dispatch = snapshot_pb2.AdapterDispatch(schema=ref, graphql=self.limits)
        answer = self.adapter(Request(method, target, made, body), dispatch)
        return answer if isinstance(answer, Response) else await answer

    async def post(self, body: object, **headers: str) -> Response:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.send("POST", "/graphql", data, **{"content_type": "application/json", **headers})

    async def ask(self, query: str, variables: object = None, **headers: str) -> Any:  # noqa: ANN401
        """What the client reads."""
        return json.loads((await self.post({"query": query, "variables": variables}, **headers)).body)

    async def refusal(self, query: str, variables: object = None) -> str:
        told = await self.ask(query, variables)
        assert "data" not in told
        return told["errors"][0]["extensions"]["reason"]


async def test_equal_reads_are_one_message_and_keys_one_request() -> None:
    server = Server()
    told = await server.ask("{ orders(first: 9) { id book { title } } again: orders(first: 9) { id } }")
    assert "errors" not in told
    assert [each["book"]["title"] for each in told["data"]["orders"]] == [f"b{n % 3}" for n in range(9)]
    assert server.stages.targets() == ["GET /orders?first=9", "GET /books?ids=b0,b1,b2"]


async def test_a_key_and_a_target_that_look_alike_are_two_reads() -> None:
    server = Server()
    server.load(
        'type Query { one: Book @http(method: "GET", path: "/books/ids/7") '
        'many(id: ID): Book @http(method: "GET", path: "/books/{id}", batch: "ids") } type Book { title: String }'
    )
    told = await server.ask('{ one { title } many(id: "7") { title } }')
    assert told["data"] == {"one": {"title": "T"}, "many": {"title": "7"}}
    assert sorted(server.stages.targets()) == ["GET /books/ids/7", "GET /books?ids=7"]


async def test_what_was_read_before_a_change_is_read_anew() -> None:
    server = Server()
    write = 'rename(id: "b9", title: "N") { id }'
    await server.ask(
        f'mutation {{ a: place(input: {{sku: "s"}}) {{ book {{ title }} }} {write} '
        'b: place(input: {sku: "s"}) { book { title } } }'
    )
    assert server.stages.targets() == [
        "POST /orders",
        "GET /books?ids=b9",
        "PUT /books/b9",
        "POST /orders",
        "GET /books?ids=b9",
    ]


async def test_arguments_go_into_path_query_and_body() -> None:
    server = Server()
    await server.ask('{ book(id: "a b", tags: ["x&y", "z"]) { id } }')
    await server.ask(
        'mutation { place(input: {sku: "s"}) { id } r: rename(id: "1", title: "é") { id } '
        'd: remove(id: "1", force: true) { id } }'
    )
    assert server.stages.targets() == [
        "GET /books/a%20b?tags=x%26y&tags=z",
        "POST /orders",
        "PUT /books/1",
        "DELETE /books/1?force=true",
    ]
    assert [each.payload.body for each in server.stages.messages[1:]] == [
        b'{"sku":"s"}',
        '{"title":"é"}'.encode(),
        b"",
    ]


async def test_siblings_are_asked_for_together_but_not_all() -> None:
    server = Server()
    fields = " ".join(f'b{n}: book(id: "{n}") {{ id }}' for n in range(30))
    assert len((await server.ask(f"{{ {fields} }}"))["data"]) == 30
    assert server.stages.most_at_once == 16


async def test_an_error_tells_all_that_a_problem_does() -> None:
    error = error_pb2.Error(
        code=error_pb2.CODE_INVALID_ARGUMENT, reason="normalization/schema", title="No", message_id="m-1"
    )
    error.retry_after.FromMilliseconds(1500)
    error.violations.add(pointer="/sku", description="Too long.", rule="maxLength")
    server = Server(Stages(Failed(error)))
    told = await server.ask('mutation { place(input: {sku: "s"}) { id } }')
    assert told["data"] == {"place": None}
    [shown] = told["errors"]
    assert (shown["message"], shown["path"]) == ("No", ["place"])
    assert shown["extensions"] == {
        "code": "INVALID_ARGUMENT",
        "reason": "normalization/schema",
        "messageId": "m-1",
        "retryAfter": 2,
        "errors": [{"pointer": "/sku", "detail": "Too long.", "rule": "maxLength"}],
    }


async def test_an_answer_that_no_client_accepts_is_406() -> None:
    assert (await Server().post({"query": "{ __typename }"}, accept="text/html")).status == 406


@pytest.mark.parametrize("body", [b"7", b'[{"title": "no id"}]', b'{"title": "no id"}'])
async def test_a_reply_that_does_not_fit_the_schema_is_an_error_in_its_place(body: bytes) -> None:
    server = Server(Stages(Answered(reply(body))))
    told = await server.ask("{ find { id author { name } } }")
    assert told["data"] == {"find": None}
    assert told["errors"][0]["extensions"]["reason"] == "normalization/reply-malformed"


async def test_a_persisted_document_is_asked_for_by_its_digest() -> None:
    server, query = Server(), '{ book(id: "a") { id } }'
    extensions = {"persistedQuery": {"version": 1, "sha256Hash": sha256(query.encode()).hexdigest()}}
    unknown = json.loads((await server.post({"extensions": extensions})).body)
    assert unknown["errors"][0]["message"] == "PersistedQueryNotFound"
    wrong = json.loads((await server.post({"query": "{ find { id } }", "extensions": extensions})).body)
    assert wrong["errors"][0]["extensions"]["reason"] == "normalization/query-invalid"
    for asked in ({"query": query, "extensions": extensions}, {"extensions": extensions}):
        assert json.loads((await server.post(asked)).body) == {"data": {"book": {"id": "a"}}}
    target = f"/graphql?extensions={quote(json.dumps(extensions))}"
    assert (await server.send("GET", target)).status == 200


async def test_by_get_nothing_is_changed() -> None:
    server = Server()
    answer = await server.send("GET", f"/graphql?query={quote('mutation { remove(id: 1) { id } }')}")
    assert (answer.status, server.stages.messages) == (405, [])


async def test_a_batch_is_answered_in_order_and_bounded() -> None:
    server = Server()
    asked = [{"query": '{ book(id: "a") { id } }'}, {"query": "{ nothing }"}, {"query": "{ __typename }"}]
    told = json.loads((await server.post(asked)).body)
    assert [sorted(each) for each in told] == [["data"], ["errors"], ["data"]]
    assert (await server.post([])).status == 400
    assert (await server.post([asked])).status == 400
    above = json.loads((await server.post(asked[2:] * 11)).body)
    assert above["errors"][0]["extensions"]["reason"] == "admission/batch-too-large"


NEST = "orders(first: 1) {" * 12 + "id" + "}" * 12


@pytest.mark.parametrize(
    ("query", "variables", "reason"),
    [
        ("{" + NEST + "}", None, "admission/query-too-deep"),
        ("{ orders(first: 100) { orders(first: 10) { id } } }", None, "admission/query-too-complex"),
        ("{ orders { orders { id } } }", None, "admission/query-too-complex"),
        ("query ($n: Int = 101) { orders(first: $n) { id } }", None, "admission/page-too-large"),
        ("query ($n: Int) { orders(first: $n) { id } }", {"n": 101}, "admission/page-too-large"),
        ("{ orders(first: 1, last: 101) { id } }", None, "admission/page-too-large"),
        ("{ ...a } fragment a on Query { x: __schema { types { name } } }", None, "admission/introspection-off"),
        ("{" + " ".join(f"a{n}: __typename" for n in range(40)) + "}", None, "admission/too-many-aliases"),
        ("{" + " ".join(f"a{n}: __typename" for n in range(10_000)) + "}", None, "admission/document-too-large"),
        ("{" + "a{" * 10_000 + "}" * 10_000, None, "admission/document-too-large"),
        ("{" * 300, None, "admission/document-too-large"),
        ("{ find(number: " + "[" * 250 + ") { id } }", None, "admission/document-too-large"),
        ("{ __typename " + "@skip(if: false)" * 60 + "}", None, "admission/document-too-large"),
        ("{" + "__typename " * 60 + "}", None, "admission/document-too-large"),
        ("{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }", None, "normalization/query-invalid"),
        ("{ find(number: " + "9" * 5000 + ") { id } }", None, "admission/document-too-large"),
        ("query ($n: Int) { find(number: $n) { id } }", {"n": 2**40}, "normalization/query-invalid"),
        ("query ($n: Int) { find(number: $n) { id } }", {"n": [1]}, "normalization/query-invalid"),
        ("{ find(number: 1", None, "normalization/query-malformed"),
        ("", None, "normalization/query-malformed"),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_a_hostile_document_is_refused_before_anything_is_sent(
    query: str, variables: object, reason: str
) -> None:
    server = Server()
    assert await server.refusal(query, variables) == reason
    assert server.stages.messages == []


async def test_fragments_are_counted_as_often_as_they_are_spread_at_the_cost_of_one() -> None:
    server = Server()
    spreads = "".join(f"fragment f{n} on Query {{ ...f{n + 1} ...f{n + 1} }} " for n in range(60))
    query = "{ ...f0 } " + spreads + "fragment f60 on Query { __typename }"
    started = time.perf_counter()
    assert await server.refusal(query) == "admission/query-too-complex"
    assert time.perf_counter() - started < 10.0


async def test_pages_in_fragments_are_counted_in_full_and_kept_once() -> None:
    spreads = "".join(f"fragment f{n} on Query {{ ...f{n + 1} ...f{n + 1} }} " for n in range(16))
    last = "fragment f16 on Query { orders(first: 7) { id } }"
    document = read_document(compile_sdl(SDL.encode()).schema, "{ ...f0 } " + spreads + last)
    assert len(document.costs[""].pages) == 1
    pricing = Pricing({}, largest=100)
    assert pricing.count(document.costs[""]) == 2**16 * (7 + 1)
    assert pricing.biggest_page == 7


@pytest.mark.parametrize(
    "body",
    [
        b"\xff",
        b"{",
        b"7",
        b"null",
        b"[" * 100_000,
        b'{"query": 7}',
        b'{"query": "\\ud800"}',
        b'{"query": "{a}", "variables": []}',
    ],
    ids=repr,
)
async def test_what_is_no_request_is_400(body: bytes) -> None:
    assert (await Server().post(body)).status == 400


async def test_variables_may_not_be_nested_without_end() -> None:
    server = Server()
    deep = '{"deep":' * 5_000 + "null" + "}" * 5_000
    query = "query ($d: Deep) { book(id: 1, deep: $d) { id } }"
    answer = await server.post(f'{{"query": "{query.replace(chr(34), "")}", "variables": {{"d": {deep}}}}}'.encode())
    assert answer.status == 400
    assert server.stages.messages == []


async def test_others_are_served_while_a_large_document_is_read() -> None:
    server = Server()
    server.limits.complexity = 100_000
    large = "{" + " ".join(f"f{n}: find(number: {n}) {{ id }}" for n in range(180)) + "}"
    reading = asyncio.ensure_future(server.refusal(large))
    await asyncio.sleep(0)
    assert (await server.ask("{ __typename }"))["data"] == {"__typename": "Query"}
    assert not reading.done()
    assert await reading == "admission/too-many-aliases"


async def test_a_schema_that_is_broken_leaves_the_last_good_one_serving() -> None:
    server = Server()
    server.load("type Query {")
    assert (await server.post({"query": "{ __typename }"})).status == 500
    server.load(SDL)
    assert (await server.ask("{ __typename }"))["data"]
    for broken in ("type Query {", b"\xff", "type Query { a: Int }"):
        server.load(broken)
        assert (await server.ask('{ book(id: "a") { id } }'))["data"] == {"book": {"id": "a"}}
    server.load(SDL.replace("title", "name"))
    assert "errors" in await server.ask('{ book(id: "a") { title } }')


@pytest.mark.parametrize(
    ("sdl", "said"),
    [
        ("type Query { a: Int }", "Query.a has no @http"),
        ('type Query { a: Int @http(method: "HEAD", path: "/a") }', "the method HEAD"),
        ('type Query { a: Int @http(method: "GET", path: "a") }', "the path a"),
        ('type Query { a: Int @http(method: "GET", path: "/a/{b}") }', "{b}"),
        ('type Query { a(b: Int): Int @http(method: "POST", path: "/a/{b}", batch: "c") }', "batch"),
        (
            (
                'type Query { a: T @http(method: "GET", path: "/a") } '
                'type T { t: T b: T @http(method: "GET", path: "/{t}") }'
            ),
            "T.b",
        ),
        ("type A { a: Int }", "Query"),
        ("type Query { a: Missing }", "Missing"),
        ("{", "Syntax"),
        ('type Query { a: Int @http(path: "/a") }', "method"),
    ],
)
def test_sdl_that_nobody_can_answer_is_said_to_be(sdl: str, said: str) -> None:
    with pytest.raises(SchemaError) as raised:
        bind(sdl)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/graphql-response+json, application/json;q=0.9", "application/graphql-response+json"),
        ("application/graphql-response+json;q=0.1, application/json", "application/json"),
        ("text/html, application/*;q=x, application/json;q=0.1", "application/json"),
    ],
)
def test_the_media_type_is_the_one_that_the_client_likes_best(accept: str, chosen: str) -> None:
    assert choose_media_type(accept) == chosen
