"""The client against a server that answers what a proxy in between, or a broken API server, might."""

import json
import ssl
from collections.abc import AsyncGenerator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from fastforward_operator.kubernetes.access import Access
from fastforward_operator.kubernetes.client import ApiError, Client, Event

PATH = "/apis/x/v1/things"


class Server:
    """Answers every request with `body`; remembers the last query."""

    def __init__(self) -> None:
        self.body = b"{}"
        self.status = 200
        self.query: dict[str, str] = {}
        self.method = ""
        self.headers: dict[str, str] = {}
        self.bodies: list[bytes] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.method, self.query, self.headers = request.method, dict(request.query), dict(request.headers)
        self.bodies += [body] if (body := await request.read()) else []
        return web.Response(body=self.body, status=self.status)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def client(server: Server) -> AsyncGenerator[Client]:
    application = web.Application()
    application.router.add_route("*", "/{rest:.*}", server.answer)
    async with TestServer(application) as running:
        access = Access(server=str(running.make_url("/")).rstrip("/"), tls=ssl.create_default_context(), token="secret")
        async with Client(access) as made:
            yield made


async def events(client: Client) -> list[Event]:
    return [event async for event in client.watch(PATH, "a=b", "7")]


@pytest.mark.parametrize(
    "body", [b"", b"<html>sorry</html>", b"[]", b"null", b"{}", b'{"metadata": 1}', b'{"metadata": {}, "items": []}']
)
async def test_what_is_no_list_is_an_error(server: Server, client: Client, body: bytes) -> None:
    server.body = body
    with pytest.raises(ApiError):
        await client.page(PATH, "")


async def test_a_page_is_asked_for_with_credentials_and_names_the_next(server: Server, client: Client) -> None:
    server.body = b'{"metadata": {"resourceVersion": "3", "continue": "c"}, "items": null}'
    assert await client.page(PATH, "a=b", "before") == ([], "3", "c")
    assert server.query == {"limit": "500", "labelSelector": "a=b", "continue": "before"}
    assert server.headers["Authorization"] == "Bearer secret"


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense",
        b"{}",
        b'{"type": "ADDED", "object": 1}',
        b'{"type": "ADDED", "object": {}}',
        b'{"type": "ERROR", "object": {"code": 410, "message": "too old"}}',
    ],
)
async def test_what_is_no_event_ends_the_watch_with_an_error(server: Server, client: Client, line: bytes) -> None:
    server.body = line + b"\n"
    with pytest.raises(ApiError):
        await events(client)


async def test_events_are_lines_of_any_length(server: Server, client: Client) -> None:
    large = b"x" * 700_000
    event = b'{"type": "ADDED", "object": {"metadata": {"resourceVersion": "1"}, "data": "' + large + b'"}}'
    server.body = event + b"\n\n" + event + b"\n"
    found = await events(client)
    assert [(each.type, len(each.object["data"])) for each in found] == [("ADDED", len(large))] * 2
    assert (server.query["resourceVersion"], server.query["allowWatchBookmarks"]) == ("7", "true")


async def test_a_refusal_has_the_words_of_the_server(server: Server, client: Client) -> None:
    server.status, server.body = 403, b'{"message": "routes is forbidden"}'
    with pytest.raises(ApiError, match="403: routes is forbidden") as told:
        await client.apply_status(PATH, {})
    assert told.value.status == 403
    server.body = b"\xff<html>"
    with pytest.raises(ApiError, match="403"):
        await client.create(PATH, {})


async def test_what_is_not_there_is_none(server: Server, client: Client) -> None:
    server.status = 404
    assert await client.read(PATH) is None


async def test_who_may_not_write_any_more_sends_no_body(server: Server, client: Client) -> None:
    """The connection may have been long in coming."""
    with pytest.raises(aiohttp.ClientError):
        await client.apply(PATH, {"spec": {}}, lambda: False)
    with pytest.raises(aiohttp.ClientError):
        await client.create(PATH, {"spec": {}}, lambda: False)
    with pytest.raises(aiohttp.ClientError):
        await client.delete(PATH, lambda: False)
    assert server.bodies == []
    server.body = b'{"metadata": {"resourceVersion": "5"}}'
    assert await client.apply(PATH, {"spec": {}}, lambda: True) == "5"
    assert server.bodies == [b'{"spec":{}}']


async def test_what_is_applied_is_not_asked_back(server: Server, client: Client) -> None:
    server.body = b'{"kind": "PartialObjectMetadata", "metadata": {"resourceVersion": "5"}}'
    assert await client.apply_status(PATH, {"status": {}}) == "5"
    first, _, otherwise = server.headers["Accept"].partition(", ")
    assert first == "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    assert otherwise == "application/json"


async def test_what_is_taken_away_is_what_was_listed_and_nothing_newer(server: Server, client: Client) -> None:
    listed = {"uid": "u", "resourceVersion": "5"}
    await client.delete(PATH, lambda: True, listed)
    await client.delete(PATH)
    assert (server.method, server.query, server.headers["Content-Type"]) == ("DELETE", {}, "application/json")
    options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
    assert [json.loads(body) for body in server.bodies] == [{**options, "preconditions": listed}, options]
    server.status = 404
    await client.delete(PATH)
    server.status = 409
    with pytest.raises(ApiError, match="409"):
        await client.delete(PATH, only=listed)
