"""The bookshop over HTTP: books, orders, stock, and endpoints that show what a gateway did to a request.

In: an HTTP request, whose header `x-ff-tenant` chooses the shop. Out: JSON that also says who answered; an error is
{"error": ...} with "problems" where that helps. __main__.py serves what `build_app` returns.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel, Field, ValidationError

from bookshop_app import catalog
from bookshop_app.catalog import Reason, ShopError

MAX_BODY_BYTES = 16 * 1024 * 1024
STATUS_OF = {Reason.NOT_FOUND: 404, Reason.INVALID: 400, Reason.SOLD_OUT: 409}
Input = TypeVar("Input", bound=BaseModel)


class BooksQuery(BaseModel):
    """GET /books"""

    author: str = ""
    limit: int = catalog.MAX_LIMIT


class SlowQuery(BaseModel):
    """GET /slow"""

    seconds: Annotated[float, Field(ge=0, le=60)] = 1.0


class OrderBody(BaseModel, strict=True, extra="forbid"):
    """POST /orders"""

    book: str
    quantity: Annotated[int, Field(ge=1, le=20)]


class StockBody(BaseModel, strict=True, extra="forbid"):
    """PUT /admin/stock/{id}: what is left out stays as it is."""

    stock: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    price_cents: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


class Rest:
    """The endpoints: `routes` lists them, a method answers each."""

    def __init__(self, bookshop: catalog.Bookshop) -> None:
        self._bookshop = bookshop

    def routes(self) -> tuple[web.RouteDef, ...]:
        """Every endpoint."""
        return (
            web.get("/books", self.list_books),
            web.get("/books/{id}", self.get_book),
            web.post("/orders", self.place_order),
            web.get("/orders", self.list_orders),
            web.get("/orders/{id}", self.get_order),
            web.get("/admin/stock", self.list_stock),
            web.put("/admin/stock/{id}", self.put_stock),
            web.get("/health", self.health),
            web.get("/slow", self.slow),
            web.route("*", "/status/{code:[2-5][0-9][0-9]}", self.status),
            web.route("*", "/echo{rest:(/.*)?}", self.echo),
        )

    async def list_books(self, request: web.Request) -> web.Response:
        query = _valid(BooksQuery, request.query)
        books = self._shop(request).books(query.author, query.limit)
        return self._answer(request, {"books": [asdict(book) for book in books]})

    async def get_book(self, request: web.Request) -> web.Response:
        return self._answer(request, asdict(self._shop(request).book(request.match_info["id"])))

    async def place_order(self, request: web.Request) -> web.Response:
        body = _valid(OrderBody, await request.read())
        return self._answer(request, asdict(self._shop(request).place_order(body.book, body.quantity)), status=201)

    async def list_orders(self, request: web.Request) -> web.Response:
        return self._answer(request, {"orders": [asdict(order) for order in self._shop(request).orders()]})

    async def get_order(self, request: web.Request) -> web.Response:
        return self._answer(request, asdict(self._shop(request).order(request.match_info["id"])))

    async def list_stock(self, request: web.Request) -> web.Response:
        return self._answer(request, {"stock": {book.id: book.stock for book in self._shop(request).books()}})

    async def put_stock(self, request: web.Request) -> web.Response:
        body = _valid(StockBody, await request.read())
        book = self._shop(request).restock(request.match_info["id"], body.stock, body.price_cents)
        return self._answer(request, asdict(book))

    async def health(self, request: web.Request) -> web.Response:
        return self._answer(request, {"status": "ok"})

    async def slow(self, request: web.Request) -> web.Response:
        query = _valid(SlowQuery, request.query)
        await asyncio.sleep(query.seconds)
        return self._answer(request, {"slept_seconds": query.seconds})

    async def status(self, request: web.Request) -> web.Response:
        return self._answer(request, {}, status=int(request.match_info["code"]))

    async def echo(self, request: web.Request) -> web.Response:
        """Exactly what arrived: the path is the one on the wire, neither decoded nor normalised."""
        path, _, query = request.raw_path.partition("?")
        arrived = {
            "method": request.method,
            "path": path,
            "query": query,
            "headers": {name.lower(): ", ".join(request.headers.getall(name)) for name in request.headers},
            "raw_headers": [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.raw_headers],
            "body": (await request.read()).decode("utf-8", errors="replace"),
        }
        return self._answer(request, arrived)

    @web.middleware
    async def errors_as_json(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """A refusal, the router's own included, is JSON like every other answer."""
        try:
            return await handler(request)
        except ShopError as error:
            problems = {"problems": error.problems} if error.problems else {}
            return self._answer(request, {"error": str(error), **problems}, STATUS_OF[error.reason])
        except web.HTTPException as error:
            allow = {name: value for name, value in error.headers.items() if name == "Allow"}
            body = {"error": f"{error.reason}: {request.method} {request.raw_path}"}
            return self._answer(request, body, error.status, allow)

    async def sign(self, request: web.Request, response: web.StreamResponse) -> None:
        """Runs just before any answer starts, WebSocket handshakes included."""
        del request
        response.headers.update(self._bookshop.signature)

    def _shop(self, request: web.Request) -> catalog.Shop:
        return self._bookshop.shop(request.headers.get(catalog.TENANT_HEADER))

    def _answer(
        self,
        request: web.Request,
        body: Mapping[str, object],
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> web.Response:
        if status in (204, 205, 304):
            return web.Response(status=status)
        tenant = request.headers.get(catalog.TENANT_HEADER) or catalog.DEFAULT_TENANT
        origin = {"tenant": tenant, "served_by": self._bookshop.name, "shard": self._bookshop.shard}
        return web.json_response({**body, **origin}, status=status, headers=headers)


def build_app(bookshop: catalog.Bookshop) -> web.Application:
    """The HTTP application; nothing listens yet."""
    rest = Rest(bookshop)
    app = web.Application(middlewares=[rest.errors_as_json], client_max_size=MAX_BODY_BYTES)
    app.add_routes(rest.routes())
    app.on_response_prepare.append(rest.sign)
    return app


def _valid(model: type[Input], given: bytes | Mapping[str, str]) -> Input:
    try:
        return model.model_validate_json(given) if isinstance(given, bytes) else model.model_validate(dict(given))
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, part['loc'])) or 'body'}: {part['msg']}" for part in error.errors())
        raise ShopError(Reason.INVALID, "The request is not valid.", tuple(problems)) from None
