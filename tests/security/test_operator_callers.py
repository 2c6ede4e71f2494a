"""A page of another site that a browser on this machine shows learns nothing from the operator's API."""

from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from fastforward_operator import api
from fastforward_operator.callers import Asked, refusal

from support.operator import Gateway, gateway

PATHS = (
    "/",
    "/page/main.js",
    "/v1/objects",
    "/v1/proxies",
    "/v1/hops",
    "/v1/messages/x",
    "/v1/snapshot",
    "/v1/render",
    "/v1/events",
    "/v1/reasons",
    "/v1/map",
    "/v1/explain?url=http://a.example.com/",
    "/metrics",
    "/healthz",
    "/nothing",
)
REBOUND = ("evil.example", "evil.example:{port}", "localhost.evil.example:{port}", "127.0.0.1.evil.example", "localhos")
FOREIGN = (
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "http://localhost:3000"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
)
OWN = (
    {},
    {"host": "localhost"},
    {"host": "LOCALHOST:{port}"},
    {"host": "ff.localhost:{port}"},
    {"host": "[::1]:{port}"},
    {"host": "127.8.9.1"},
    {"host": "localhost:{port}", "origin": "http://localhost:{port}", "sec-fetch-site": "same-origin"},
    {"sec-fetch-site": "none"},
)


async def asked(running: Gateway, path: str, headers: dict[str, str]) -> tuple[int, str]:
    port = running.operator.api_port
    sent = {name: value.format(port=port) for name, value in headers.items()}
    url = f"http://127.0.0.1:{port}{path}"
    async with aiohttp.ClientSession() as session, session.get(url, headers=sent) as response:
        return response.status, "" if path == "/v1/events" and response.status == 200 else await response.text()


async def attacks(running: Gateway) -> list[int]:
    """The statuses of everything that a page of another site can try."""
    hosts = [{"host": host} for host in REBOUND]
    return [(await asked(running, path, headers))[0] for path in PATHS for headers in (*hosts, *FOREIGN)]


async def test_no_page_of_another_site_is_answered(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        assert set(await attacks(running)) == {403}
        status, text = await asked(running, "/v1/objects", {"host": "evil.example"})
        assert (status, "by the host evil.example" in text, "FF_API_HOSTS" in text) == (403, True, True)


async def test_without_the_check_every_page_is_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def anybody(_: object) -> Middleware:
        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await handler(request)

        return check

    monkeypatch.setattr(api, "only_own", anybody)
    async with gateway(tmp_path) as running:
        assert 403 not in await attacks(running)


async def test_who_names_it_by_an_address_or_a_host_of_its_own_is_answered(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        assert {(await asked(running, "/v1/objects", headers))[0] for headers in OWN} == {200}


def host(name: str, *, path: str = "/v1/objects", bound: str = "10.1.2.3") -> Asked:
    return Asked(path=path, hosts=(name,), origin=None, site=None, bound=bound)


def test_an_address_that_is_not_bound_reaches_only_probes() -> None:
    assert refusal(host("10.1.2.3:9080"), ()) is None
    assert refusal(host("192.168.7.7:9080"), ()) is not None
    assert refusal(host("192.168.7.7:9080", path="/metrics"), ()) is None
    assert refusal(host("[fd00::7]:9080", path="/healthz"), ()) is None
    assert refusal(host("operator.example", path="/readyz"), ()) is not None


def test_a_listed_host_is_one_of_its_own() -> None:
    assert refusal(host("Operator.Example:9080"), {"operator.example"}) is None
    assert refusal(host("operator.example.evil"), {"operator.example"}) is not None


@pytest.mark.parametrize("hosts", [(), ("localhost", "evil.example"), ("localhost", "localhost")])
def test_one_host_is_named_and_no_more(hosts: tuple[str, ...]) -> None:
    assert refusal(Asked(path="/v1/objects", hosts=hosts, origin=None, site=None, bound="127.0.0.1"), ()) is not None
