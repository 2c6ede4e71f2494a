"""Tells spans to an OpenTelemetry collector: OTLP over HTTP, in binary.

In: spans that have ended, as functions that make them: nothing is made of them on the event loop. Out: requests to the
collector, from a thread, some each second. Called by a workload's bootstrap where an endpoint is set. A collector that
is away keeps spans waiting, up to a bound; no request ever waits for one.
"""

from __future__ import annotations

import asyncio
import http.client
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus

import structlog

from fastforward_kit.backoff import Backoff
from fastforward_kit.spans import Span, encode_spans
from fastforward_kit.telemetry import Tally

log = structlog.get_logger(__name__)

PERIOD_S = 1.0
AT_ONCE = 64
"""Offers in one request: those of messages have some fifteen spans each."""
MOST_WAITING = 2048
"""Offers; what comes when as many wait is dropped."""
_TIMEOUT_S = 2.0
_PATH = "/v1/traces"
_AGAIN = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""What may be sent again (OTLP, "Retryable response codes"); any other refusal is final."""
Offer = Callable[[], Sequence[Span]]


class SpanExporter:
    """Used in one event loop. `resource` says who tells."""

    def __init__(self, endpoint: str, resource: Mapping[str, str], outcomes: Tally) -> None:
        """`endpoint` is the collector's base URL, `http://HOST:4318`; `outcomes` has one label, of the same name."""
        self._url = f"{endpoint.rstrip('/')}{_PATH}"
        self._resource = resource
        self._waiting: deque[Offer] = deque()
        self._unsent: tuple[bytes, int] | None = None
        self._sending: asyncio.Future[bool] | None = None
        self._away = False
        self._outcomes = outcomes
        # A collector is near: no proxy of the environment leads there.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def offer(self, spans: Offer) -> None:
        """Takes spans that have ended, unless too many wait already."""
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append(spans)
        else:
            self._outcomes.counts["dropped",] += 1

    async def run(self) -> None:
        """Until cancelled."""
        backoff = Backoff(first=PERIOD_S, longest=30.0)
        while True:
            await asyncio.sleep(PERIOD_S)
            if await self._send_all():
                backoff.reset()
            else:
                await asyncio.sleep(backoff.next_wait())

    async def close(self) -> None:
        """Tells what is left, if the collector takes it."""
        await self._send_all()

    async def _send_all(self) -> bool:
        """Whether nothing waits any more. Who is cancelled meanwhile leaves it to its end: nothing goes twice."""
        if self._sending is None or self._sending.done():
            self._sending = asyncio.ensure_future(self._send())
        return await asyncio.shield(self._sending)

    async def _send(self) -> bool:
        while self._unsent is not None or self._waiting:
            if self._unsent is None:
                offers = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
                self._unsent = await asyncio.to_thread(self._encode, offers)
            body, number = self._unsent
            outcome = await asyncio.to_thread(self._post, body)
            if outcome is None:
                return False
            self._outcomes.counts[outcome,] += number
            self._unsent = None
        return True

    def _encode(self, offers: Iterable[Offer]) -> tuple[bytes, int]:
        """Returns the request of some offers, and how many spans it tells of."""
        spans = [span for offer in offers for span in offer()]
        return encode_spans(spans, self._resource).SerializeToString(), len(spans)

    def _post(self, body: bytes) -> str | None:
        """Returns what became of it; None when it is to be sent again."""
        headers = {"content-type": "application/x-protobuf"}
        request = urllib.request.Request(self._url, data=body, headers=headers)  # noqa: S310 - settings look at it
        try:
            with self._opener.open(request, timeout=_TIMEOUT_S) as response:
                response.read()
        except urllib.error.HTTPError as error:
            with error:
                return self._refused(error.code)
        except (OSError, http.client.HTTPException) as error:
            self._say_away(str(getattr(error, "reason", error)))
            return None
        self._away = False
        return "told"

    def _refused(self, status: int) -> str | None:
        if status in _AGAIN:
            self._say_away(f"it answers {status}")
            return None
        log.warning("spans refused", collector=self._url, status=status)
        return "refused"

    def _say_away(self, why: str) -> None:
        """Said once an outage."""
        (log.debug if self._away else log.warning)("collector away", collector=self._url, why=why)
        self._away = True
