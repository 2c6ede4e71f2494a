"""EntryPoints are asked over the streams that they opened, all at once, and one that is silent holds nobody up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from fastforward_kit.inspection import Answers, InspectionClient
from fastforward_kit.snapshot.client import Target
from fastforward_operator.presentation import present_told
from fastforward_operator.xds import inspection
from fastforward_operator.xds.publisher import Publisher
from fastforward_operator.xds.server import XdsServer

from fastforward.inspection.v1 import inspection_pb2, inspection_pb2_grpc
from support.eventually import eventually, meanwhile

HOPS = inspection_pb2.AllHops()


@asynccontextmanager
async def served(folder: Path, **nodes: Answers) -> AsyncGenerator[XdsServer]:
    """A server to which these nodes are connected, over a real socket."""
    address = f"unix:{folder / 'xds.sock'}"
    server = XdsServer(address, Publisher(lambda _: None))
    await server.start()
    try:
        async with AsyncExitStack() as stack:
            for name, answer in nodes.items():
                await stack.enter_async_context(meanwhile(InspectionClient(Target(address), name, answer).run()))
            await eventually(lambda: len(server._inspections._nodes) == len(nodes))
            yield server
    finally:
        await server.stop()


def knows(id_: str) -> Answers:
    def answer(inquiry: inspection_pb2.Inquiry) -> inspection_pb2.Answer:
        ways = [inspection_pb2.Way(id=id_, ms=1.5)] if inquiry.id == id_ else []
        return inspection_pb2.Answer(ways=ways)

    return answer


def has_hop(_: inspection_pb2.Inquiry) -> inspection_pb2.Answer:
    return inspection_pb2.Answer(hops=[inspection_pb2.Hop(name="shop/orders", calls=1 << 40, breaker="open")])


async def test_all_are_asked_and_whoever_knows_says_it(tmp_path: Path) -> None:
    async with served(tmp_path, a=knows("m-1"), b=knows("m-2")) as server:
        first, second = await asyncio.gather(*(server.ask(inspection_pb2.Inquiry(id=f"m-{n}")) for n in (1, 2)))
        nobody = present_told(await server.ask(inspection_pb2.Inquiry(id="m-3")), "ways")
    assert [(way["node"], way["id"], way["ms"]) for way in present_told(first, "ways")["ways"]] == [("a", "m-1", 1.5)]
    assert [way["node"] for way in present_told(second, "ways")["ways"]] == ["b"]
    assert nobody == {"ways": [], "asked": ["a", "b"], "silent": []}


async def test_counts_are_numbers(tmp_path: Path) -> None:
    async with served(tmp_path, a=has_hop) as server:
        [hop] = present_told(await server.ask(inspection_pb2.Inquiry(hops=HOPS)), "hops")["hops"]
    assert (hop["name"], hop["calls"], hop["breaker"], hop["inFlight"]) == ("shop/orders", 1 << 40, "open", 0)
    assert "limit" not in hop


async def test_one_that_does_not_answer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "PATIENCE_S", 0.3)
    async with served(tmp_path, b=has_hop) as server, Target(server.address).channel() as channel:
        stream = inspection_pb2_grpc.InspectionServiceStub(channel).StreamInquiries()
        await stream.write(inspection_pb2.Answer(node="a"))
        await eventually(lambda: len(server._inspections._nodes) == 2)
        told = present_told(await server.ask(inspection_pb2.Inquiry(hops=HOPS)), "hops")
        stream.cancel()
    assert ([hop["node"] for hop in told["hops"]], told["asked"], told["silent"]) == (["b"], ["a", "b"], ["a"])


async def test_one_that_had_a_defect_comes_back(tmp_path: Path) -> None:
    answers = iter((ValueError("a defect"), inspection_pb2.Answer(hops=[inspection_pb2.Hop(name="shop/orders")])))

    def second_time(_: inspection_pb2.Inquiry) -> inspection_pb2.Answer:
        answer = next(answers)
        if isinstance(answer, ValueError):
            raise answer
        return answer

    async with served(tmp_path, a=second_time) as server:
        assert present_told(await server.ask(inspection_pb2.Inquiry(hops=HOPS)), "hops")["silent"] == ["a"]
        await eventually(lambda: len(server._inspections._nodes) == 1)
        assert len(present_told(await server.ask(inspection_pb2.Inquiry(hops=HOPS)), "hops")["hops"]) == 1


async def test_an_operator_that_comes_later_is_found(tmp_path: Path) -> None:
    address = f"unix:{tmp_path / 'xds.sock'}"
    client = InspectionClient(Target(address), "a", has_hop)
    async with meanwhile(client.run()):
        await asyncio.sleep(0.1)
        server = XdsServer(address, Publisher(lambda _: None))
        await server.start()
        try:
            await eventually(lambda: server._inspections._nodes)
        finally:
            await server.stop()
