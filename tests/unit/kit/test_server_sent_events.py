"""Server-sent events as a browser reads them, and connections that are kept alive."""

import asyncio
from collections.abc import AsyncGenerator

from fastforward_kit.http import kept_alive, write_event


def test_an_event_has_a_line_for_each_line_of_its_data() -> None:
    assert write_event("kind", b"a\nb", "7") == b"id: 7\nevent: kind\ndata: a\ndata: b\n\n"
    assert write_event("kind", b"") == b"event: kind\ndata: \n\n"


def test_content_forges_no_event() -> None:
    forged = b"hi\r\revent: refused\rdata: {}\r\nend"
    lines = b"data: hi\ndata: \ndata: event: refused\ndata: data: {}\ndata: end"
    assert write_event("kind", forged) == b"event: kind\n" + lines + b"\n\n"


async def test_what_comes_is_handed_on_and_silence_is_told() -> None:
    more = asyncio.Event()

    async def items() -> AsyncGenerator[int]:
        yield 1
        await more.wait()
        yield 2

    kept = kept_alive(items(), quiet_s=0.01)
    assert [await anext(kept), await anext(kept), await anext(kept)] == [None, 1, None]
    more.set()
    rest = [item async for item in kept]
    assert [item for item in rest if item is not None] == [2]


async def test_whoever_stops_ends_what_they_listened_to() -> None:
    ended = asyncio.Event()

    async def items() -> AsyncGenerator[int]:
        try:
            await asyncio.Event().wait()
            yield 0
        finally:
            ended.set()

    kept = kept_alive(items(), quiet_s=0.01)
    assert [await anext(kept), await anext(kept)] == [None, None]
    await kept.aclose()
    assert ended.is_set()
