"""The order desk: a workload that takes messages (fastforward.message.v1), whichever protocol their senders speak.

In: messages that have passed all stages, so the tenant is known and the content valid. Out: a reply in JSON, or an
error with a reason. rpc.py serves it beside the catalogue.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import grpc
from google.protobuf import json_format

from bookshop_app import catalog
from bookshop_app.catalog import Reason, Shop, ShopError
from fastforward.message.v1 import dispatch_pb2, dispatch_pb2_grpc, envelope_pb2, error_pb2, json_pb2

JSON = "application/json"
CODE_OF = {
    Reason.NOT_FOUND: error_pb2.CODE_NOT_FOUND,
    Reason.INVALID: error_pb2.CODE_INVALID_ARGUMENT,
    Reason.SOLD_OUT: error_pb2.CODE_FAILED_PRECONDITION,
}
Context = grpc.aio.ServicerContext[Any, Any]
Reply = tuple[int, Any, Mapping[str, str]]
"""Status as HTTP calls it, content, headers."""


class OrderDesk(dispatch_pb2_grpc.MessageServiceServicer):
    """Takes `shop.orders.*`."""

    def __init__(self, bookshop: catalog.Bookshop) -> None:
        self._bookshop = bookshop
        self._handlers: Mapping[str, Callable[[Shop, envelope_pb2.Envelope], Reply]] = {
            "shop.orders.place": _place,
            "shop.orders.list": _list,
            "shop.orders.read": _read,
        }

    async def Handle(  # noqa: N802 - the .proto names it
        self, request: dispatch_pb2.HandleRequest, context: Context
    ) -> dispatch_pb2.HandleResponse:
        """One message."""
        message = request.envelope
        handler = self._handlers.get(message.header.type)
        if handler is None:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{message.header.type} is not handled here")
        try:
            status, content, headers = handler(self._bookshop.shop(message.header.tenant), message)
        except ShopError as error:
            short = error.reason.value.replace(" ", "-")
            refused = error_pb2.Error(code=CODE_OF[error.reason], reason=f"orders/{short}", title=str(error))
            return dispatch_pb2.HandleResponse(error=refused)
        return dispatch_pb2.HandleResponse(reply=_reply(status, content, headers))

    async def HandleJson(  # noqa: N802 - the .proto names it
        self, request: dispatch_pb2.HandleJsonRequest, context: Context
    ) -> dispatch_pb2.HandleJsonResponse:
        """The same, for people who look at what travels."""
        asked, said = dispatch_pb2.HandleRequest.FromString(request.request.wire), request.request
        if said.HasField("json"):
            json_format.Parse(said.json, asked)
        told = json_format.MessageToJson(await self.Handle(asked, context), indent=None)
        return dispatch_pb2.HandleJsonResponse(response=json_pb2.Transcribed(json=told))


def _place(shop: Shop, message: envelope_pb2.Envelope) -> Reply:
    wanted = json.loads(message.payload.body)
    order = shop.place_order(wanted["book"], wanted["quantity"])
    return 201, asdict(order), {"location": f"/orders/{order.id}"}


def _list(shop: Shop, _: envelope_pb2.Envelope) -> Reply:
    return 200, [asdict(order) for order in shop.orders()], {}


def _read(shop: Shop, message: envelope_pb2.Envelope) -> Reply:
    path = message.header.source.target.partition("?")[0]
    return 200, asdict(shop.order(path.removeprefix("/orders/"))), {}


def _reply(status: int, content: object, headers: Mapping[str, str]) -> envelope_pb2.Envelope:
    fields = [envelope_pb2.Field(name=name, value=value) for name, value in headers.items()]
    completion = envelope_pb2.Completion(status=status, fields=fields)
    return envelope_pb2.Envelope(
        header=envelope_pb2.Header(completion=completion),
        payload=envelope_pb2.Payload(media_type=JSON, body=json.dumps(content).encode()),
    )
