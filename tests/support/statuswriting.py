"""A writer of statuses over an API client that stands for the real one. Called by the tests of the writer."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from fastforward_compiler import ir
from fastforward_compiler.problem import ObjectRef
from fastforward_operator.kubernetes.client import ApiError, May
from fastforward_operator.kubernetes.statuswriter import StatusWriter
from fastforward_operator.objectstatus import Condition, ObjectStatus

from support.eventually import meanwhile

ROUTE = ObjectRef(kind="Route", namespace="shop", name="cart")
HTTP_ROUTE = ObjectRef(kind="HTTPRoute", namespace="shop", name="cart")
THEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def status(word: str, reason: str, *, generation: int = 1, ref: ObjectRef = ROUTE) -> ObjectStatus:
    condition = Condition(
        type="Programmed", status=word, reason=reason, message="", observed_generation=generation, since=THEN
    )
    return ObjectStatus(
        ref=ref, generation=generation, source=None, conditions=(condition,), problems=(), effective=("AuthPolicy a",)
    )


def entry(name: str, controller: str = "example.com/other", reason: str = "Accepted") -> dict[str, Any]:
    """What a controller says of a route at a parent."""
    conditions = [{"type": "Accepted", "status": "True", "reason": reason}]
    return {"parentRef": {"name": name}, "controllerName": controller, "conditions": conditions}


def attached() -> ObjectStatus:
    """A HTTPRoute that lies on a Gateway of ours."""
    told = status("True", "Programmed", ref=HTTP_ROUTE)
    return replace(told, parts=(ir.Part(place=(("name", "ours"),), verdicts=()),))


class Scripted:
    """Stands for the API client: remembers what is applied, holds it up while `open` is not set, fails as told."""

    def __init__(self) -> None:
        self.applied: list[tuple[str, Mapping[str, Any]]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.failures: list[ApiError] = []
        self.versions: list[str] = []
        """Which version of the object each one that is applied was about."""
        self.under_way = self.most = 0

    async def apply_status(self, path: str, body: Mapping[str, Any], may: May) -> str:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            return await self._apply(path, body, may)
        finally:
            self.under_way -= 1

    async def _apply(self, path: str, body: Mapping[str, Any], may: May) -> str:
        await self.open.wait()
        await asyncio.sleep(0.01)
        assert may()
        if self.failures:
            raise self.failures.pop()
        self.applied.append((path, body["status"]))
        self.versions.append(body["metadata"].get("resourceVersion", ""))
        return str(10 * len(self.applied))

    def generations(self) -> list[int]:
        return [told["observedGeneration"] for _, told in self.applied]


@asynccontextmanager
async def writing(
    client: Any,  # noqa: ANN401 - a Scripted stands for a Client
    leads: Callable[[], bool] = lambda: True,
) -> AsyncGenerator[StatusWriter]:
    writer = StatusWriter(client, lambda _: (3, 3), leads)
    async with meanwhile(writer.run()):
        yield writer
