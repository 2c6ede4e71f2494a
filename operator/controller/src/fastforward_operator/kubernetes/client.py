"""Requests to the API server: lists by pages, watches, server-side apply.

In: an Access. Out: decoded pages and events. Called by the informers and the writer of statuses. The kept Kubernetes
clients hold whole lists of typed objects in memory and have no server-side apply of statuses; this is the part that is
needed, on the HTTP client that is here anyway. Source: "Kubernetes API Concepts".
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from types import TracebackType
from typing import Any, NamedTuple, Self

import aiohttp
import fastforward_crds as crds
from aiohttp.abc import AbstractStreamWriter
from fastforward_compiler.problem import ObjectRef
from fastforward_crds import gatewayapi
from pydantic_core import from_json, to_json

from .access import Access

PAGE = 500
WATCH_S = 25
"""How long one watch lasts; the server then ends it, and a new one goes on where it was."""
SILENCE_S = 28.0
"""A watch that says nothing for so long, not even that it ends, is blind: found out within 30 s with what follows."""
NOT_FOUND = 404
CONFLICT = 409
MAX_LINE = 16 * 1024 * 1024
_TIMEOUT = aiohttp.ClientTimeout(total=60)
_MANAGER = "fastforward"
_NO_ANSWER = 502
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1, application/json"
"""An answer without what we have just said, from an API server that knows such."""
JUDGED: Mapping[str, str] = {**crds.PLURALS, **gatewayapi.PLURALS}
"""Plurals of the kinds whose statuses are written."""


class ApiError(Exception):
    """The API server refused; `status` is HTTP's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


def api_version(kind: str) -> str:
    """Of a kind whose statuses are written."""
    return crds.API_VERSION if kind in crds.PLURALS else gatewayapi.GATEWAY_API


def object_path(ref: ObjectRef) -> str:
    """Where an object is whose status is written."""
    where = f"/namespaces/{ref.namespace}" if ref.kind not in crds.CLUSTER_SCOPED else ""
    return f"/apis/{api_version(ref.kind)}{where}/{JUDGED[ref.kind]}/{ref.name}"


May = Callable[[], bool]
"""Whether the writer may write, asked when the connection is there and nothing but the body is still to be sent."""


def always() -> bool:
    """Of writes that anybody may make."""
    return True


class FencedError(Exception):
    """The writer was made to wait, and may not write any more."""


class Page(NamedTuple):
    """Some objects of a list; `following` names the next page, and is empty on the last."""

    objects: list[dict[str, Any]]
    version: str
    following: str


class Event(NamedTuple):
    """Something that happened: ADDED, MODIFIED, DELETED or BOOKMARK."""

    type: str
    object: dict[str, Any]


class Client:
    """An asynchronous context; one for all informers and writers of a process."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=0, ssl=self._access.tls)
        self._session = aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT, read_bufsize=1 << 18)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None and self._session.connector is not None:
            # Watches are cut off in the middle: nobody waits for the other side's farewell.
            await self._session.connector.close(abort_ssl=True)
            await self._session.close()

    async def page(self, path: str, selector: str, following: str = "") -> Page:
        """One page of a list. Raises ApiError, aiohttp.ClientError, TimeoutError."""
        asked = {"limit": str(PAGE), "labelSelector": selector, "continue": following}
        async with self._request("GET", path, params={k: v for k, v in asked.items() if v}) as response:
            body = await _read(response)
        # Off the event loop: a page of large objects takes a while.
        found = await asyncio.to_thread(_decode, body)
        try:
            metadata = found["metadata"]
            return Page(found["items"] or [], metadata["resourceVersion"], metadata.get("continue", ""))
        except (KeyError, TypeError, AttributeError):
            raise ApiError(_NO_ANSWER, "the answer is no list of objects") from None

    async def each(self, path: str, selector: str) -> AsyncGenerator[dict[str, Any]]:
        """All objects of a list; of a kind that is not installed there is nothing. Raises as `page`."""
        try:
            async for page in pages(self, path, selector):
                for found in page.objects:
                    yield found
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise

    async def watch(self, path: str, selector: str, version: str) -> AsyncGenerator[Event]:
        """What happens after `version`, until the server ends the watch. Raises as `page`, 410 when it is too old."""
        asked = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(WATCH_S),
            "labelSelector": selector,
        }
        silence = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=SILENCE_S)
        params = {k: v for k, v in asked.items() if v}
        async with self._request("GET", path, params=params, timeout=silence) as response:
            if response.status != 200:
                await _read(response)
            async for line in _lines(response.content):
                yield _event(_decode(line))

    async def apply_status(self, path: str, body: Mapping[str, Any], may: May = always) -> str:
        """Server-side apply of a status; returns the object's version then. Raises as `apply`."""
        return await self.apply(f"{path}/status", body, may)

    async def apply(self, path: str, body: Mapping[str, Any], may: May = always) -> str:
        """Server-side apply of the fields in `body`, whoever had them; returns the object's version then.

        Where `body` names a version, 409 when that is not the newest. Raises as `page`, aiohttp.ClientError too when
        the writer may not write any more.
        """
        asked = {"fieldManager": _MANAGER, "force": "true"}
        headers = {"content-type": "application/apply-patch+yaml", "accept": _METADATA}
        data = _Fenced(to_json(body), may)
        async with self._request("PATCH", path, params=asked, data=data, headers=headers) as response:
            return _version(_decode(await _read(response)))

    async def delete(self, path: str, may: May = always, only: Mapping[str, str] | None = None) -> None:
        """An object, and what it owns after it; nothing when it is not there.

        `only`: the uid and the resourceVersion that it must have, else 409. Raises as `apply`.
        """
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        data = _Fenced(to_json({**options, **({"preconditions": only} if only is not None else {})}), may)
        headers = {"content-type": "application/json"}
        async with self._request("DELETE", path, data=data, headers=headers) as response:
            if response.status != NOT_FOUND:
                await _read(response)

    async def read(self, path: str) -> dict[str, Any] | None:
        """One object; None when it is not there. Raises as `page`."""
        async with self._request("GET", path) as response:
            if response.status == NOT_FOUND:
                return None
            return _decode(await _read(response))

    async def merge(self, path: str, body: Mapping[str, Any]) -> None:
        """A change of some fields (RFC 7386). Raises as `page`."""
        headers = {"content-type": "application/merge-patch+json"}
        async with self._request("PATCH", path, data=to_json(body), headers=headers) as response:
            await _read(response)

    async def create(self, collection: str, body: Mapping[str, Any], may: May = always) -> str:
        """A new object; returns its version, 409 when it is there. Raises as `apply`."""
        headers = {"content-type": "application/json"}
        data = _Fenced(to_json(body), may)
        async with self._request("POST", collection, data=data, headers=headers) as response:
            return _version(_decode(await _read(response)))

    async def replace(self, path: str, body: Mapping[str, Any]) -> str:
        """An object in place of the version that it names; returns its version then, 409 when that is not the newest.

        Raises as `page`.
        """
        async with self._request("PUT", path, json=body) as response:
            return _version(_decode(await _read(response)))

    def _request(self, method: str, path: str, **options: Any) -> Any:  # noqa: ANN401 - aiohttp's own context manager
        if self._session is None:
            raise RuntimeError("The client is not open.")
        headers = {**self._access.headers(), **options.pop("headers", {})}
        return self._session.request(method, f"{self._access.server}{path}", headers=headers, **options)


async def pages(client: Client, path: str, selector: str = "") -> AsyncGenerator[Page]:
    """The pages of a list, at least one. Raises as `Client.page`."""
    page = await client.page(path, selector)
    yield page
    while page.following:
        page = await client.page(path, selector, page.following)
        yield page


class _Fenced(aiohttp.BytesPayload):
    """A body that stays here when the writer lost his office on the way: the request breaks off, nothing is written."""

    def __init__(self, body: bytes, may: May) -> None:
        super().__init__(body)
        self._may = may

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        # Asked once the connection is there. With its length known, the body goes out in one packet with the head.
        if not self._may():
            raise FencedError("not the leader any more")
        await super().write_with_length(writer, content_length)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = await response.read()
    if response.status < 300:
        return body
    try:
        message = str(from_json(body)["message"])
    except (ValueError, KeyError, TypeError):
        message = body[:200].decode(errors="replace")
    raise ApiError(response.status, message)


def _decode(body: bytes) -> dict[str, Any]:
    """What is between us and the API server may answer anything."""
    try:
        found = from_json(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ApiError(_NO_ANSWER, f"no answer of an API server: {body[:100].decode(errors='replace')}")
    return found


def _version(found: Mapping[str, Any]) -> str:
    return str(found.get("metadata", {}).get("resourceVersion", ""))


def _event(found: Mapping[str, Any]) -> Event:
    """Raises ApiError for one that tells an error, or is none."""
    kind, told = found.get("type"), found.get("object")
    if not isinstance(kind, str) or not isinstance(told, dict):
        raise ApiError(_NO_ANSWER, "no event of an API server")
    if kind == "ERROR":
        raise ApiError(told.get("code", _NO_ANSWER), str(told.get("message", "")))
    if not isinstance(told.get("metadata"), dict) or "resourceVersion" not in told["metadata"]:
        raise ApiError(_NO_ANSWER, "an event without a version")
    return Event(kind, told)


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length up to MAX_LINE: an object may be larger than what the reader buffers."""
    rest: list[bytes] = []
    async for chunk in content.iter_any():
        first, *others = chunk.split(b"\n")
        rest.append(first)
        for following in others:
            if line := b"".join(rest):
                yield line
            rest = [following]
        if sum(map(len, rest)) > MAX_LINE:
            raise ApiError(500, "an event of the watch is too long")
