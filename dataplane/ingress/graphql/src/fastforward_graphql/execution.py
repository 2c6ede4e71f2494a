"""One operation: its document, what it may cost, its messages, its result.

In: what a client asks, the schema, the limits. Out: a Result, or for subscriptions the results as events come. Called
by the adapter over each of its transports.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from fastforward_pipeline.message.intake import TIMEOUT_S
from fastforward_pipeline.reason import Reason
from graphql import (
    ExecutionResult,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
    execute,
    get_variable_values,
    subscribe,
)

from fastforward.snapshot.v1 import snapshot_pb2

from .document import Document, DocumentError, digest_of
from .errors import describe, refusal
from .limits import judge_cost
from .loading import Loader
from .schema import Compiled


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client asks (https://graphql.github.io/graphql-over-http/draft/#sec-Request-Parameters)."""

    query: str | None
    operation: str = ""
    variables: dict[str, Any] = field(default_factory=dict)
    digest: str | None = None
    """SHA-256 of the document, by which it is persisted or asked for."""


@dataclass(frozen=True, slots=True)
class Result:
    """What the client is told; `status` is that of a response that has no data."""

    body: dict[str, Any]
    status: int = 200
    began: bool = True
    """Whether anything was executed."""


@dataclass(frozen=True, slots=True)
class Ready:
    """An operation that may be executed."""

    document: Document
    node: OperationDefinitionNode
    asked: Asked

    @property
    def kind(self) -> OperationType:
        """Query, mutation or subscription."""
        return self.node.operation


class RefusedError(Exception):
    """An operation that is not executed."""

    def __init__(self, *errors: GraphQLError, reason: Reason, status: int = 400) -> None:
        super().__init__(reason)
        self.result = Result({"errors": [describe(each, reason) for each in errors]}, status, began=False)


async def prepare(asked: Asked, compiled: Compiled, limits: snapshot_pb2.GraphqlLimits) -> Ready:
    """Returns the operation, judged by all that can be told before it is executed. Raises RefusedError."""
    text = _find_text(asked, compiled)
    try:
        document = await compiled.documents.get(text, hide=not limits.introspection)
    except DocumentError as error:
        raise RefusedError(*error.errors, reason=error.reason) from error
    if asked.digest is not None:
        compiled.documents.persist(text, asked.digest)
    node = document.operation(asked.operation)
    if node is None:
        raise _refused(Reason.QUERY_INVALID, "No such operation is in the document")
    variables = _read_variables(node, asked, compiled, hide=not limits.introspection)
    above = judge_cost(document.costs[node.name.value if node.name else ""], limits, variables)
    if above is not None:
        raise RefusedError(above, reason=Reason.QUERY_INVALID)
    return Ready(document, node, asked)


def _find_text(asked: Asked, compiled: Compiled) -> str:
    if asked.query is not None:
        if asked.digest is not None and digest_of(asked.query) != asked.digest:
            raise _refused(Reason.QUERY_INVALID, "The document is not the one whose sha256Hash is given")
        return asked.query
    text = None if asked.digest is None else compiled.documents.find(asked.digest)
    if text is None:
        # Clients that persist documents wait for these very words.
        unknown = GraphQLError("PersistedQueryNotFound", extensions={"code": "PERSISTED_QUERY_NOT_FOUND"})
        raise RefusedError(unknown, reason=Reason.QUERY_INVALID, status=200)
    return text


def _read_variables(
    node: OperationDefinitionNode, asked: Asked, compiled: Compiled, *, hide: bool
) -> dict[str, object]:
    """Returns them as fields get them, defaults included."""
    try:
        values = get_variable_values(
            compiled.schema, node.variable_definitions or (), asked.variables, max_errors=10, hide_suggestions=hide
        )
    except RecursionError as error:
        raise _refused(Reason.QUERY_INVALID, "The variables are nested too deeply") from error
    if isinstance(values, list):
        raise RefusedError(*values, reason=Reason.QUERY_INVALID)
    return values.coerced


async def run(ready: Ready, compiled: Compiled, loader: Loader) -> Result:
    """Executes a query or mutation. Nothing of it goes on after its time."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            made = execute(**_arguments(ready, compiled, loader))
            result = made if isinstance(made, ExecutionResult) else await made
    except TimeoutError:
        return Result({"errors": [describe(refusal(Reason.OUT_OF_TIME))]}, 504)
    except RecursionError:
        return Result({"errors": [describe(refusal(Reason.REPLY_MALFORMED))]}, 502)
    finally:
        loader.close()
    return _result(result)


async def listen(ready: Ready, compiled: Compiled, loader: Loader) -> AsyncGenerator[Result] | Result:
    """Begins a subscription: the results as events come, or why there are none. Whoever stops closes it."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            made = subscribe(**_arguments(ready, compiled, loader))
            begun = made if isinstance(made, (ExecutionResult, AsyncIterator)) else await made
    except TimeoutError:
        return Result({"errors": [describe(refusal(Reason.OUT_OF_TIME))]}, 504)
    if isinstance(begun, ExecutionResult):
        loader.close()
        return _result(begun)
    return _results(begun, loader)


async def _results(begun: AsyncIterator[ExecutionResult], loader: Loader) -> AsyncGenerator[Result]:
    try:
        async for each in begun:
            yield _result(each)
    finally:
        close = getattr(begun, "aclose", None)
        if close is not None:
            await close()
        loader.close()


def _arguments(ready: Ready, compiled: Compiled, loader: Loader) -> dict[str, Any]:
    return {
        "schema": compiled.schema,
        "document": ready.document.node,
        "context_value": loader,
        "variable_values": ready.asked.variables,
        "operation_name": ready.asked.operation or None,
    }


def _result(result: ExecutionResult) -> Result:
    body: dict[str, Any] = {}
    if result.errors is not None:
        body["errors"] = [describe(each) for each in result.errors]
    body["data"] = result.data
    return Result(body)


def _refused(reason: Reason, detail: str) -> RefusedError:
    return RefusedError(refusal(reason, detail), reason=reason)
