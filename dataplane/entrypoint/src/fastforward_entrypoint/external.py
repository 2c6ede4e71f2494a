"""Asks services of others whether requests may pass, over HTTP/1.1, each Upstream behind a Hop of its own (Shield).

In: an AskService. Out: what the service answers, or Unavailable. Called by the decision endpoint and by messages, on
the event loop. A question that is under way is not asked again: a proxy that asks again about a request gets the answer
to its first try.
"""

# ruff: noqa: PLC0415 - the client costs a good part of a start: only whoever asks somebody pays for it

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from fastforward_pipeline import AskService, ServiceAnswer, Unavailable
from fastforward_pipeline.compiled.servicetls import ServiceTls
from fastforward_pipeline.compiled.upstream import Upstream, join
from fastforward_shield import Breaker, Bulkhead, Hop, HopError, Meaning, Policy, Retry, Try

from fastforward.snapshot.v1 import snapshot_pb2

from .messages.choice import Choice, make_choice

if TYPE_CHECKING:
    import ssl

    import aiohttp

ANSWER_BYTES = 64 << 10
"""So much of an answer is read, so that the connection can be used again; what is longer ends it."""
_CLIENT = "aiohttp"
_PATIENCE_S = 15.0  # for which a connection that nothing is sent over stays
_LONGEST_S = 6.0  # above what a policy may allow
_ALONE_S = 1.0  # for which an endpoint that can't be connected to is asked after the others
_POLICY = Policy(
    timeout_s=_LONGEST_S,
    bulkhead=Bulkhead(concurrent=256, queue=256, queue_s=0.1),
    # Only of what was not sent.
    retry=Retry(tries=3, base_s=0.001, max_s=0.01),
    breaker=Breaker(),
)
Answer = ServiceAnswer | Unavailable


class UnsendableError(ValueError):
    """The request can't be put into words of HTTP: nobody else's fault than its sender's."""


@dataclass(slots=True)
class _Place:
    """One endpoint."""

    address: str
    weight: int
    active: int = 0
    alone_until: float = 0.0
    """Time of the event loop."""


class _Line:
    """The way to one Upstream, for as long as that stays as it is."""

    def __init__(self, upstream: Upstream, hop: Hop) -> None:
        self.upstream = upstream
        self.hop = hop
        listed = upstream.endpoints if upstream.dns is None else ((join(*upstream.dns), 1),)
        self._choice: Choice[_Place] = make_choice(upstream.policy, [_Place(*each) for each in listed])

    def pick(self) -> _Place:
        """Returns the endpoint to ask. Raises ConnectionError where there is none."""
        now = time.monotonic()
        chosen = self._choice.pick(lambda place: place.alone_until <= now, "") or self._choice.pick(lambda _: True, "")
        if chosen is None:
            raise ConnectionError(f"{self.upstream.name} has no endpoint")
        return chosen


def import_client(resources: Iterable[snapshot_pb2.Resource]) -> None:
    """Imports what asks, when a policy first needs it. Called in the thread that builds snapshots: no request waits."""
    if any(each.HasField("external") for resource in resources for each in resource.auth.authorizations):
        import_module(_CLIENT)


class ServiceAsker:
    """A connection pool, and a hop for each Upstream. Used in one event loop."""

    def __init__(self, find: Callable[[str], Upstream | None]) -> None:
        """`find` tells the Upstream NAMESPACE/NAME."""
        self._find = find
        self._lines: dict[str, _Line] = {}
        self._under_way: dict[AskService, asyncio.Task[Answer]] = {}
        self._session: aiohttp.ClientSession | None = None

    def __iter__(self) -> Iterator[Hop]:
        """Yields the hops in use."""
        return (line.hop for line in list(self._lines.values()))

    def ask(self, asked: AskService) -> asyncio.Future[Answer]:
        """Returns what will be the answer. Several may wait for it, so one that gives up ends it for nobody else."""
        known = self._under_way.get(asked)
        if known is None:
            known = self._under_way[asked] = asyncio.ensure_future(self._ask(asked))
            known.add_done_callback(lambda _: self._under_way.pop(asked, None))
        return asyncio.shield(known)

    async def close(self) -> None:
        """Ends all connections."""
        for task in list(self._under_way.values()):
            task.cancel()
        if self._session is not None:
            await self._session.close()

    async def _ask(self, asked: AskService) -> Answer:
        import aiohttp

        upstream = self._find(asked.upstream)
        if upstream is None:
            return Unavailable()
        line = self._line_to(upstream)

        async def once(_: Try) -> ServiceAnswer:
            return await self._send(line, asked)

        try:
            deadline = asyncio.get_running_loop().time() + asked.timeout_s
            return await line.hop.call(once, deadline=deadline, repeatable=False)
        except UnsendableError:
            # Not Unavailable: whoever sends what can't be told must not pass because of that.
            return ServiceAnswer(400)
        except (HopError, aiohttp.ClientError, OSError):
            return Unavailable()

    def _line_to(self, upstream: Upstream) -> _Line:
        line = self._lines.get(upstream.name)
        if line is None or line.upstream is not upstream:
            hop = line.hop if line is not None else Hop(f"external {upstream.name}", _POLICY, _judge)
            line = self._lines[upstream.name] = _Line(upstream, hop)
        return line

    async def _send(self, line: _Line, asked: AskService) -> ServiceAnswer:
        """Raises UnsendableError, and what aiohttp raises when nobody answers."""
        import aiohttp
        from yarl import URL

        place = line.pick()
        place.active += 1
        try:
            try:
                tls = line.upstream.tls
                url = URL(
                    f"{'http' if tls is None else 'https'}://{place.address}{_in_bytes(asked.path)}", encoded=True
                )
                headers = [(name, _readable(value)) for name, value in asked.headers]
                body = asked.body or None
                going = self._client().request(
                    asked.method,
                    url,
                    headers=headers,
                    data=body,
                    allow_redirects=False,
                    ssl=True if tls is None else _trust(tls),
                    server_hostname=None if tls is None else tls.server_name,
                )
            except ValueError as error:
                raise UnsendableError(str(error)) from error
            async with going as answer:
                told = tuple((name.lower(), value) for name, value in answer.headers.items())
                return ServiceAnswer(answer.status, told, await _beginning(answer.content))
        except aiohttp.ClientConnectorError:
            place.alone_until = time.monotonic() + _ALONE_S
            raise
        except (ValueError, UnicodeError) as error:
            raise error if isinstance(error, UnsendableError) else UnsendableError(str(error)) from error
        finally:
            place.active -= 1

    def _client(self) -> aiohttp.ClientSession:
        """Cookies are nobody's here, the time of a question is the hop's, and headers are those that are given."""
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_PATIENCE_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None, sock_read=None),
                skip_auto_headers=("accept", "accept-encoding", "user-agent", "content-type"),
                auto_decompress=False,
            )
        return self._session


def _trust(tls: ServiceTls) -> ssl.SSLContext:
    from .trust import trust

    return trust(tls)


def _judge(error: Exception) -> Meaning:
    """Returns what a failed question says of the service: of a connection that could not be made, nothing was sent."""
    if isinstance(error, UnsendableError):
        return Meaning.ANSWERED
    return Meaning.AGAIN if isinstance(error, import_module(_CLIENT).ClientConnectorError) else Meaning.FAILED


async def _beginning(content: aiohttp.StreamReader) -> bytes:
    """Returns the first ANSWER_BYTES: a read returns what is there, which may be less."""
    found = bytearray()
    while len(found) < ANSWER_BYTES and (part := await content.read(ANSWER_BYTES - len(found))):
        found += part
    return bytes(found)


def _in_bytes(text: str) -> str:
    """Returns a path with everything that is not printable ASCII in percent-encoding, as proxies send it."""
    return "".join(char if "!" <= char <= "~" else f"%{ord(char):02X}" for char in text)


def _readable(value: str) -> str:
    """Returns a value that came as bytes as it is sent: what is UTF-8 stays so. Raises ValueError for other bytes."""
    return value if value.isascii() else value.encode("latin-1").decode("utf-8")
