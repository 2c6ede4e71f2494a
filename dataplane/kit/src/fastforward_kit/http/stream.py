"""An answer in parts: each is sent as a chunk (RFC 9112, section 7.1) when it comes, and not before the last one has
left.

In: the answer, and what the connection says of its transport. Out: chunks. Called by connection.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

import structlog

from fastforward_kit.http.message import StreamedResponse

log = structlog.get_logger(__name__)

END = b"0\r\n\r\n"


class Stream:
    """Sends in a task of its own, from the beginning; `ended` is called once, unless the transport is gone."""

    def __init__(
        self, transport: asyncio.Transport, response: StreamedResponse, *, full: bool, ended: Callable[[], None]
    ) -> None:
        self._transport = transport
        self._parts = response.parts
        self._finite = response.finite
        self._ended = ended
        self._room = asyncio.Event()
        if not full:
            self._room.set()
        self._stopped = False
        self._task = asyncio.ensure_future(self._run())

    def pause(self) -> None:
        """Takes no more parts until `resume`: the client does not keep up."""
        self._room.clear()

    def resume(self) -> None:
        """There is room again."""
        self._room.set()

    def leave(self) -> None:
        """Ends what would go on for ever, in order; what has an end comes to it."""
        if not self._finite:
            self.stop()

    def stop(self) -> None:
        """Ends it where it is."""
        if not self._stopped:
            self._stopped = True
            # Behind the task's first step: a task that is cancelled before would not even close the parts.
            asyncio.get_running_loop().call_soon(self._task.cancel)

    async def _run(self) -> None:
        try:
            await self._send_all()
        except asyncio.CancelledError:  # by us
            if self._finite:
                self._transport.abort()
        except Exception:  # its client sees that it is not whole
            log.exception("stream failed")
            self._transport.abort()
        finally:
            await close_parts(self._parts)
        if not self._transport.is_closing():
            self._transport.write(END)
            self._ended()

    async def _send_all(self) -> None:
        await self._room.wait()
        async for part in self._parts:
            if part:
                self._transport.write(b"%x\r\n%b\r\n" % (len(part), part))
                await self._room.wait()


async def close_parts(parts: AsyncIterator[bytes]) -> None:
    """Ends an iterator that can be ended."""
    close = getattr(parts, "aclose", None)
    if close is None:
        return
    try:
        await close()
    except Exception:
        log.exception("stream failed to close")
