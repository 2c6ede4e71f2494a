"""Posts one event to one receiver, behind a hop of its own (Shield), and says what becomes of it.

In: an EventHook and a Delivery. Out: Delivered, Later or Dead. Called by the courier. A try is one call of the hop:
what has failed waits in the outbox, not here, and by the same policy as retries of hops do.
"""

from __future__ import annotations

import itertools
import random
import ssl
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from functools import cached_property

import aiohttp
from fastforward_pipeline.compiled.eventhook import EventHook
from fastforward_shield import (
    Breaker,
    Bulkhead,
    CircuitOpenError,
    Hop,
    HopError,
    Meaning,
    Policy,
    Retry,
    SaturatedError,
    Try,
)
from yarl import URL

from .cloudevent import MEDIA_TYPE
from .port import UNDER_WAY, Dead, Delivered, Delivery, Later, Outcome
from .signature import sign

Places = tuple[tuple[str, int], ...]
"""Hosts and ports."""
_AGAIN = frozenset({408, 425, 429})
_ANSWER_BYTES = 16 << 10
_PATIENCE_S = 15.0  # for which a connection that nothing is sent over stays
_BULKHEAD = Bulkhead(concurrent=2 * UNDER_WAY)  # there may be two outboxes


class RefusedError(Exception):
    """The receiver's answer is no yes."""

    def __init__(self, status: int, retry_after_s: float = 0.0) -> None:
        super().__init__(f"the answer is {status}")
        self.status = status
        self.retry_after_s = retry_after_s

    @property
    def for_good(self) -> bool:
        """Whether it would be the same next time. A redirect is not followed: the event is for whom it names."""
        return self.status < 500 and self.status not in _AGAIN


def judge(error: Exception) -> Meaning:
    """Returns what a failed try says of the receiver."""
    return Meaning.ANSWERED if isinstance(error, RefusedError) and error.for_good else Meaning.FAILED


class WebhookSender:
    """A connection pool, and a Hop for each hook. Used in one event loop."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
        trust: Callable[[], ssl.SSLContext] = ssl.create_default_context,
    ) -> None:
        """`clock` tells Unix time; `trust` whose certificates are believed, by default those that the system knows."""
        self._clock = clock
        self._jitter = jitter
        self._trust = trust
        self._hops: dict[str, tuple[Places, Hop]] = {}
        self._turns = itertools.count()
        self._session: aiohttp.ClientSession | None = None

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return self._trust()

    def __iter__(self) -> Iterator[Hop]:
        """Yields the hops in use."""
        return (hop for _, hop in list(self._hops.values()))

    def forget(self, hook: str) -> None:
        """The hook is gone."""
        self._hops.pop(hook, None)

    async def close(self) -> None:
        """Ends all connections."""
        if self._session is not None:
            await self._session.close()

    async def send(self, hook: EventHook, delivery: Delivery) -> Outcome:
        """Makes one try."""

        async def once(_: Try) -> None:
            await self._post(hook, delivery)

        try:
            await self._hop_to(hook).call(once)
        except (CircuitOpenError, SaturatedError) as error:
            # Nothing was sent, so that is no try.
            return Later(max(error.retry_after_s, hook.first_wait_s), delivery.tries, str(error))
        except RefusedError as error:
            return self._failed(hook, delivery, str(error), error.retry_after_s, for_good=error.for_good)
        except (HopError, aiohttp.ClientError, OSError, ValueError) as error:
            return self._failed(hook, delivery, str(error) or type(error).__name__)
        return Delivered()

    def _failed(
        self, hook: EventHook, delivery: Delivery, why: str, retry_after_s: float = 0.0, *, for_good: bool = False
    ) -> Later | Dead:
        tries = delivery.tries + 1
        if for_good or tries >= hook.tries:
            return Dead(tries, why, hook.dead_letters)
        retry = Retry(tries=hook.tries, base_s=hook.first_wait_s, max_s=hook.longest_wait_s)
        asked_s = min(retry_after_s, hook.longest_wait_s)
        return Later(max(retry.pause_s(tries, self._jitter()), asked_s), tries, why)

    def _hop_to(self, hook: EventHook) -> Hop:
        """The hop is new when its policy is, or the receiver is elsewhere: what is known of it is over."""
        places, hop = self._hops.get(hook.name, ((), None))
        if hop is None or places != hook.places or hop.policy.timeout_s != hook.timeout_s:
            policy = Policy(timeout_s=hook.timeout_s, bulkhead=_BULKHEAD, breaker=Breaker())
            hop = Hop(f"hook {hook.name}", policy, judge)
            self._hops[hook.name] = hook.places, hop
        return hop

    async def _post(self, hook: EventHook, delivery: Delivery) -> None:
        """Raises RefusedError, and what aiohttp raises when nobody answers."""
        signed = sign(hook.secrets, delivery.event, int(self._clock()), delivery.body)
        headers = {**signed, "content-type": MEDIA_TYPE, "user-agent": "FastForward"}
        if hook.server_name:
            headers["host"] = hook.server_name
        async with self._client().post(
            self._url(hook),
            data=delivery.body,
            headers=headers,
            allow_redirects=False,
            ssl=self._tls if hook.tls else True,
            server_hostname=hook.server_name or None,
        ) as answer:
            # What little it says is read, so that the connection can be used again.
            await _read_beginning(answer.content)
            if not 200 <= answer.status < 300:
                raise RefusedError(answer.status, self._retry_after_s(answer.headers.get("retry-after", "")))

    def _url(self, hook: EventHook) -> URL:
        """One place after the other."""
        host, port = hook.places[next(self._turns) % len(hook.places)]
        authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return URL(f"{'https' if hook.tls else 'http'}://{authority}{hook.path}", encoded=True)

    def _retry_after_s(self, text: str) -> float:
        """Seconds, or a date (RFC 9110, section 10.2.3); 0 for none."""
        if text.isdecimal():
            return float(text[:9])
        try:
            return max(0.0, parsedate_to_datetime(text).timestamp() - self._clock())
        except (ValueError, OverflowError):  # the latter for a year that no clock gets to
            return 0.0

    def _client(self) -> aiohttp.ClientSession:
        """Cookies are nobody's here, and the time of a try is the hop's."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_PATIENCE_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None, sock_read=None),
            )
        return self._session


async def _read_beginning(content: aiohttp.StreamReader) -> None:
    """Reads up to _ANSWER_BYTES: a single read would return with what has come so far."""
    left = _ANSWER_BYTES
    while left > 0 and (part := await content.read(left)):
        left -= len(part)
