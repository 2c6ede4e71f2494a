"""The bookshop over gRPC: bookshop.v1.Catalog and the order desk, with the standard health and reflection services.

In: gRPC calls, whose metadata `x-ff-tenant` chooses the shop. Out: messages, or NOT_FOUND and INVALID_ARGUMENT.
__main__.py starts and stops the server that `build_server` returns.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

import grpc
from bookshop.v1 import catalog_pb2, catalog_pb2_grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from bookshop_app import catalog
from bookshop_app.catalog import Reason, ShopError
from bookshop_app.desk import OrderDesk
from fastforward.message.v1 import dispatch_pb2_grpc

SERVICE = catalog_pb2.DESCRIPTOR.services_by_name["Catalog"].full_name
Context = grpc.aio.ServicerContext[Any, Any]
CODE_OF = {Reason.NOT_FOUND: grpc.StatusCode.NOT_FOUND, Reason.INVALID: grpc.StatusCode.INVALID_ARGUMENT}


class CatalogService(catalog_pb2_grpc.CatalogServicer):
    """The calls, as catalog.proto describes them."""

    def __init__(self, bookshop: catalog.Bookshop) -> None:
        self._bookshop = bookshop

    async def GetBook(  # noqa: N802 - the .proto names it
        self, request: catalog_pb2.GetBookRequest, context: Context
    ) -> catalog_pb2.GetBookResponse:
        async with self._shop(context) as shop:
            book = catalog_pb2.Book(**asdict(shop.book(request.id)))
        served_by, shard = self._bookshop.name, self._bookshop.shard
        return catalog_pb2.GetBookResponse(book=book, tenant=shop.tenant, served_by=served_by, shard=shard)

    async def ListBooks(  # noqa: N802
        self, request: catalog_pb2.ListBooksRequest, context: Context
    ) -> AsyncIterator[catalog_pb2.ListBooksResponse]:
        async with self._shop(context) as shop:
            books = shop.books(request.author, request.limit or catalog.MAX_LIMIT)
        for book in books:
            yield catalog_pb2.ListBooksResponse(book=catalog_pb2.Book(**asdict(book)))

    async def Chat(  # noqa: N802
        self, request_iterator: AsyncIterator[catalog_pb2.ChatRequest], context: Context
    ) -> AsyncIterator[catalog_pb2.ChatResponse]:
        async with self._shop(context) as shop:
            pass
        async for request in request_iterator:
            titles = ", ".join(book.title for book in shop.books(request.text))
            text = f"By {request.text} we have {titles}." if titles else f"Sorry, nothing by {request.text} here."
            yield catalog_pb2.ChatResponse(text=text, served_by=self._bookshop.name)

    @asynccontextmanager
    async def _shop(self, context: Context) -> AsyncGenerator[catalog.Shop]:
        """Sign the answer, find the tenant's shop, and end the call when the shop refuses."""
        await context.send_initial_metadata(tuple(self._bookshop.signature.items()))
        metadata = {key: str(value) for key, value in context.invocation_metadata() or ()}
        try:
            yield self._bookshop.shop(metadata.get(catalog.TENANT_HEADER))
        except ShopError as error:
            await context.abort(CODE_OF[error.reason], str(error))


async def build_server(bookshop: catalog.Bookshop) -> grpc.aio.Server:
    """The server with all its services; nothing listens yet."""
    # Without this option a second server would silently share the port with the first.
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    catalog_pb2_grpc.add_CatalogServicer_to_server(CatalogService(bookshop), server)
    dispatch_pb2_grpc.add_MessageServiceServicer_to_server(OrderDesk(bookshop), server)
    serving = health.aio.HealthServicer()
    for service in ("", SERVICE):
        await serving.set(service, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(serving, server)
    reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    return server
