"""The oracle of no_drop counts whatever is lost: hung-up connections, refusals, answers of other routes or versions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from perf.clients import Seen
from perf.loss.bulk import counted
from perf.loss.checked_load import Expected, Tally, Target, checked_load

OK = "HTTP/1.1 200 OK\r\nx-served-by: {}\r\ncontent-length: 0\r\n\r\n"
EVERY = 20
"""One answer in so many is a bad one."""


@asynccontextmanager
async def origin(bad: str | None) -> AsyncGenerator[int]:
    """Speaks HTTP/1.1 alone; every so often it says `bad` instead, if anything, and closes the connection."""
    served = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                served += 1
                if bad is not None and served % EVERY == 0:
                    writer.write(bad.encode())
                    return
                writer.write(OK.format("a").encode())
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # whoever was at the other end knows
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()


async def load(port: int, expected: Expected) -> Tally:
    target = Target(hosts=["example.com"], expected=expected, places=lambda: [("127.0.0.1", port)], over=["HTTP/1.1"])
    async with checked_load(target) as tally:
        pass
    return tally


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("", "broken off: IncompleteReadError"),
        ("HTTP/1.1 503 x\r\nx-ff-reason: no-endpoint\r\ncontent-length: 0\r\n\r\n", "503 no-endpoint"),
        ("HTTP/1.1 404 x\r\ncontent-length: 0\r\n\r\n", "404"),
        (OK.format("b"), "answered 'b'"),
        ("HTTP/1.1 200 OK\r\nx-served-by: a\r\ncontent-length: 9\r\n\r\nhalf", "broken off: IncompleteReadError"),
    ],
    ids=["hung-up", "refused", "no-route", "another-route", "half"],
)
async def test_whatever_is_lost_is_counted(bad: str, said: str) -> None:
    async with origin(bad) as port:
        tally = await load(port, Expected(lambda _: frozenset({"a"})))
    assert tally.lost.total() >= 1
    assert all(said in each for each in tally.lost), tally.lost
    assert min(tally.right.values()) >= EVERY


async def test_where_nothing_is_lost_nothing_is_counted() -> None:
    async with origin(None) as port:
        tally = await load(port, Expected(lambda _: frozenset({"a"})))
    assert not tally.lost


def test_an_answer_must_be_of_a_version_that_was_in_force_meanwhile() -> None:
    expected = Expected(lambda version: frozenset({f"a {version}"}), settled=3, wanted=5)
    tally = Tally()
    for version in range(2, 7):
        tally.judge("x", Seen(status=200, said=f"a {version}"), expected, since=3)
    assert tally.right["x"] == 3
    assert tally.lost.total() == 2


def test_what_h2load_could_not_get_is_counted() -> None:
    said = (
        "requests: 60 total, 60 started, 60 done, 47 succeeded, 13 failed, 3 errored, 0 timeout\n"
        "status codes: 40 2xx, 7 3xx, 4 4xx, 6 5xx\n"
    )
    assert counted(said) == {"right": 40, "broken": 3, "3xx": 7, "4xx": 4, "5xx": 6}
