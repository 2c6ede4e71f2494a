"""The bookshop over WebSocket: /ws/echo says back what it hears, /ws/prices tells every price change.

In: a handshake, whose header `x-ff-tenant` chooses the shop. Out: messages, until either side closes.
__main__.py adds these endpoints to the HTTP application, so they share its port.
"""

import asyncio
from weakref import WeakSet

from aiohttp import WSCloseCode, WSMsgType, web

from bookshop_app import catalog

CLOSE_SECONDS = 0.3


class WebSockets:
    """The endpoints, and the sockets that are open."""

    def __init__(self, bookshop: catalog.Bookshop) -> None:
        self._bookshop = bookshop
        self._open: WeakSet[web.WebSocketResponse] = WeakSet()

    def add_to(self, app: web.Application) -> None:
        """Add the endpoints, and their end at shutdown."""
        app.add_routes((web.get("/ws/echo", self.echo), web.get("/ws/prices", self.prices)))
        app.on_shutdown.append(self.close_all)

    async def echo(self, request: web.Request) -> web.WebSocketResponse:
        """Text comes back as text, binary as binary."""
        socket = await self._accept(request)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await socket.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await socket.send_bytes(message.data)
        return socket

    async def prices(self, request: web.Request) -> web.WebSocketResponse:
        """First all prices, then each change as it happens (PUT /admin/stock/{id} makes one)."""
        shop = self._bookshop.shop(request.headers.get(catalog.TENANT_HEADER))
        with shop.watch_prices() as changes:
            socket = await self._accept(request)
            await socket.send_json({"type": "prices", "prices": {book.id: book.price_cents for book in shop.books()}})
            pushing = asyncio.create_task(_push(socket, changes))
            async for _ in socket:
                pass  # Whatever the client says only shows that it is still there.
            pushing.cancel()
            await asyncio.gather(pushing, return_exceptions=True)
        return socket

    async def close_all(self, app: web.Application) -> None:
        """Clients learn that the server goes away, instead of just losing the connection."""
        del app
        await asyncio.gather(*(socket.close(code=WSCloseCode.GOING_AWAY) for socket in self._open))

    async def _accept(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(timeout=CLOSE_SECONDS)
        await socket.prepare(request)
        self._open.add(socket)
        return socket


async def _push(socket: web.WebSocketResponse, changes: catalog.PriceChanges) -> None:
    while True:
        await socket.send_json({"type": "change", **await changes.get()})
