"""Services that every gRPC server has: health and reflection, of the one Schema that the call's rule names.

In: a path and the Services of the rule. Out: what handles the call. Called by adapter for methods that the Schema does
not have. Sources: grpc.health.v1 and grpc.reflection.v1 (whose messages are those of v1alpha).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

from .schema import Services

HEALTH = "grpc.health.v1.Health"
REFLECTION = "grpc.reflection.v1alpha.ServerReflection"
_REFLECT = frozenset(
    {f"/{REFLECTION}/ServerReflectionInfo", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"}
)
_SERVING = health_pb2.HealthCheckResponse.SERVING
Context = grpc.aio.ServicerContext[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]


if TYPE_CHECKING:
    Handler = grpc.RpcMethodHandler[Any, Any]
_Reflecting = grpc.aio.ServicerContext[reflection_pb2.ServerReflectionRequest, reflection_pb2.ServerReflectionResponse]


class Standard:
    """Both services. `leaving` is set when the server ends: who watches is told."""

    def __init__(self) -> None:
        self.leaving = asyncio.Event()

    def handler(self, path: str, services: Services) -> Handler | None:
        """Returns what handles the call; None for another method."""
        if path in _REFLECT:
            return _reflection(services)
        if path == f"/{HEALTH}/Check":
            return self._check(services)
        return self._watch(services) if path == f"/{HEALTH}/Watch" else None

    def _status(self, service: str, services: Services) -> health_pb2.HealthCheckResponse | None:
        if service and service not in services.names:
            return None
        served = health_pb2.HealthCheckResponse.NOT_SERVING if self.leaving.is_set() else _SERVING
        return health_pb2.HealthCheckResponse(status=served)

    def _check(self, services: Services) -> Handler:
        async def check(request: health_pb2.HealthCheckRequest, context: Context) -> health_pb2.HealthCheckResponse:
            status = self._status(request.service, services)
            if status is None:
                await context.abort(grpc.StatusCode.NOT_FOUND, "There is no such service")
            return status

        return grpc.unary_unary_rpc_method_handler(
            check,
            request_deserializer=health_pb2.HealthCheckRequest.FromString,
            response_serializer=health_pb2.HealthCheckResponse.SerializeToString,
        )

    def _watch(self, services: Services) -> Handler:
        async def watch(request: health_pb2.HealthCheckRequest, context: Context) -> None:
            unknown = health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVICE_UNKNOWN)
            await context.write(self._status(request.service, services) or unknown)
            await self.leaving.wait()
            await context.write(self._status(request.service, services) or unknown)

        return grpc.unary_stream_rpc_method_handler(
            watch,
            request_deserializer=health_pb2.HealthCheckRequest.FromString,
            response_serializer=health_pb2.HealthCheckResponse.SerializeToString,
        )


def _reflection(services: Services) -> Handler:
    """Tells of the rule's Schema alone, and of these services: its pool holds nothing else."""
    servicer = reflection.aio.ReflectionServicer(services.names, pool=services.pool)

    async def reflect(requests: AsyncIterator[reflection_pb2.ServerReflectionRequest], context: _Reflecting) -> None:
        async for answer in servicer.ServerReflectionInfo(requests, context):
            await context.write(answer)

    return grpc.stream_stream_rpc_method_handler(
        reflect,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
