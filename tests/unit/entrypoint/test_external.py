"""Asking services, over real connections: who is asked, how often, and what becomes of those that are dead or late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from fastforward_entrypoint.external import ServiceAsker, import_client
from fastforward_pipeline import AskService, ServiceAnswer, Unavailable
from fastforward_pipeline.compiled.upstream import Upstream

from fastforward.snapshot.v1 import snapshot_pb2 as pb
from support.eventually import eventually
from support.origin import Loop, Origin, Reply
from support.processes import free_port

ASKED = AskService("shop/p", "shop/guard", "GET", "/authz/a%20b?q=1", (("host", "shop.example"), ("x-a", "1")), 5.0)
ORIGIN = Reply(headers=(("X-User", "jo"),), body="ok")


@pytest.fixture
def service() -> Generator[Origin]:
    """A service that allows everything."""
    loop = Loop()
    made = Origin(name="guard", loop=loop, answer=lambda _: ORIGIN)
    made.start()
    yield made
    made.stop()
    loop.stop()


@asynccontextmanager
async def asker(*ports: int, dns: tuple[str, int] | None = None) -> AsyncGenerator[ServiceAsker]:
    endpoints = tuple((f"127.0.0.1:{port}", 1) for port in ports)
    known = {"shop/guard": Upstream(name="shop/guard", endpoints=endpoints, dns=dns)}
    made = ServiceAsker(known.get)
    try:
        yield made
    finally:
        await made.close()


async def test_it_is_asked_in_these_words_and_its_answer_is_told(service: Origin) -> None:
    async with asker(service.port) as made:
        answer = await made.ask(ASKED)
    assert isinstance(answer, ServiceAnswer)
    assert (answer.status, answer.body) == (200, b"ok")
    assert ("x-user", "jo") in answer.headers
    (asked,) = service.received
    assert (asked.method, asked.target) == ("GET", "/authz/a%20b?q=1")
    assert asked.names == {"host", "x-a"}
    assert asked.header("host") == "shop.example"


async def test_a_name_is_looked_up(service: Origin) -> None:
    async with asker(dns=("localhost", service.port)) as made:
        assert isinstance(await made.ask(ASKED), ServiceAnswer)


async def test_bytes_of_clients_arrive_as_they_were_and_others_are_refused_unasked(service: Origin) -> None:
    async with asker(service.port) as made:
        assert isinstance(await made.ask(replace(ASKED, headers=(("x-a", "\u00c3\u00a9"),))), ServiceAnswer)
        assert service.last.header("x-a") == "\u00c3\u00a9"
        for value in ("\u00e9", "a\r\nx-b: c", "\0"):
            answer = await made.ask(replace(ASKED, headers=(("x-a", value),)))
            assert isinstance(answer, ServiceAnswer), value
            assert answer.status == 400, value
        assert isinstance(await made.ask(replace(ASKED, path="/\u00e9")), ServiceAnswer)
    assert [each.target for each in service.received] == ["/authz/a%20b?q=1", "/%E9"]


async def test_a_question_that_is_under_way_is_not_asked_again(service: Origin) -> None:
    async with asker(service.port) as made:
        questions = [made.ask(ASKED), made.ask(replace(ASKED)), made.ask(replace(ASKED, path="/other"))]
        assert all(isinstance(each, ServiceAnswer) for each in await asyncio.gather(*questions))
        assert len(service.received) == 2
        await made.ask(ASKED)
        assert len(service.received) == 3


async def test_one_that_gives_up_takes_the_answer_from_nobody_else(service: Origin) -> None:
    async with asker(service.port) as made:
        with service.held():
            one, other = (asyncio.ensure_future(made.ask(ASKED)) for _ in range(2))
            await eventually(lambda: service.received)
            one.cancel()
        assert isinstance(await other, ServiceAnswer)
    assert one.cancelled()
    assert len(service.received) == 1


async def test_who_does_not_answer_in_time_or_at_all_is_unavailable(service: Origin) -> None:
    async with asker(service.port) as made:
        with service.held():
            assert await made.ask(replace(ASKED, timeout_s=0.05)) == Unavailable()
        service.answer = lambda _: Reply(hang_up=True)
        assert await made.ask(ASKED) == Unavailable()
        assert await made.ask(replace(ASKED, upstream="shop/nobody")) == Unavailable()
    async with asker() as made:
        assert await made.ask(ASKED) == Unavailable()


async def test_a_dead_endpoint_is_left_alone_while_there_are_others(service: Origin) -> None:
    async with asker(free_port(), service.port) as made:
        for number in range(8):
            assert isinstance(await made.ask(replace(ASKED, path=f"/{number}")), ServiceAnswer)
        (hop,) = made
        assert hop.name == "external shop/guard"
    assert len(service.received) == 8


async def test_redirects_are_not_followed_and_long_answers_are_cut(service: Origin) -> None:
    service.answer = lambda _: Reply(status=302, headers=(("location", "/elsewhere"),), body="x" * 1_000_000)
    async with asker(service.port) as made:
        answer = await made.ask(ASKED)
    assert isinstance(answer, ServiceAnswer)
    assert (answer.status, len(service.received)) == (302, 1)
    assert len(answer.body) == 64 << 10


async def test_a_body_goes_along(service: Origin) -> None:
    async with asker(service.port) as made:
        await made.ask(replace(ASKED, method="POST", body=b'{"input":{}}'))
    assert (service.last.method, service.last.body) == ("POST", b'{"input":{}}')


@pytest.mark.parametrize("asks", [True, False])
def test_the_client_is_imported_when_a_policy_asks_somebody(*, asks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    imported: list[str] = []
    monkeypatch.setattr("fastforward_entrypoint.external.import_module", imported.append)
    external = pb.ExternalAuthorization(upstream="shop/guard") if asks else None
    policy = pb.Auth(authorizations=[pb.Authorization(external=external)])
    import_client([pb.Resource(auth=policy), pb.Resource(plan=pb.Plan())])
    assert imported == (["aiohttp"] if asks else [])
