"""Keeps issuers' public keys (JWKS) that AuthPolicies name by URL.

In: AuthPolicies. Out: documents by URL, handed to `deliver` when they change, empty when they are too old to be
believed, None when nobody names the URL any more. Called by bootstrap. Proxies and decision services never fetch keys
themselves: they all get the same ones. The last good answer is kept on disk, so that a restart while the issuer is down
changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import fastforward_crds as crds
import structlog
from fastforward_compiler.problem import ObjectRef

from .kept import Change

_log = structlog.get_logger(__name__)

MAX_BYTES = 1024 * 1024
_PART_BYTES = 64 * 1024
_TIMEOUT = aiohttp.ClientTimeout(total=5)
_FIRST_RETRY_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How often a URL is to be fetched, and how long its last good answer is believed."""

    refresh_s: float
    max_stale_s: float


@dataclass(frozen=True, slots=True)
class Answer:
    """The last good one; the document is empty when there is none."""

    document: bytes = b""
    fetched_at: float = 0.0


@dataclass(slots=True)
class KeyFetcher:
    """One task for each URL that some AuthPolicy names."""

    deliver: Callable[[Mapping[str, bytes | None]], None]
    folder: Path
    clock: Callable[[], float] = time.time
    failures: int = 0
    _wishes: dict[ObjectRef, dict[str, Wish]] = field(default_factory=dict)
    _tasks: dict[str, tuple[Wish, asyncio.Task[None]]] = field(default_factory=dict)
    _answers: dict[str, Answer] = field(default_factory=dict)
    """Not only on disk, which may be full."""
    _delivered: dict[str, bytes] = field(default_factory=dict)
    _session: aiohttp.ClientSession | None = None

    async def run(self) -> None:
        """Until cancelled."""
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
            self._session = session
            try:
                self._start()
                await asyncio.Event().wait()
            finally:
                self._session = None
                for _, task in self._tasks.values():
                    task.cancel()

    @property
    def urls(self) -> tuple[str, ...]:
        """What is being fetched."""
        return tuple(self._tasks)

    def observe(self, changes: Mapping[ObjectRef, Change]) -> None:
        """AuthPolicies among changed objects say which URLs are wanted. An invalid one keeps its earlier wishes."""
        touched = False
        for ref in (ref for ref in changes if ref.kind == "AuthPolicy"):
            change = changes[ref]
            if not isinstance(change, crds.Invalid):
                wishes = dict(_wishes_of(change))
                touched |= wishes != self._wishes.get(ref, {})
                if wishes:
                    self._wishes[ref] = wishes
                else:
                    self._wishes.pop(ref, None)
        if touched:
            self._start()

    def _start(self) -> None:
        """One task a URL; the most demanding wish counts."""
        if self._session is None:
            return
        wanted: dict[str, Wish] = {}
        for wishes in self._wishes.values():
            for url, wish in wishes.items():
                other = wanted.get(url, wish)
                wanted[url] = Wish(
                    refresh_s=min(wish.refresh_s, other.refresh_s), max_stale_s=min(wish.max_stale_s, other.max_stale_s)
                )
        for url in [url for url, (wish, _) in self._tasks.items() if wanted.get(url) != wish]:
            self._tasks.pop(url)[1].cancel()
        self._forget(self._answers.keys() - wanted.keys())
        for url, wish in wanted.items():
            if url not in self._tasks:
                self._tasks[url] = (wish, asyncio.create_task(self._keep(url, wish, self._session)))

    def _forget(self, urls: Iterable[str]) -> None:
        for url in urls:
            del self._answers[url]
            if self._delivered.pop(url, None) is not None:
                self.deliver({url: None})

    async def _keep(self, url: str, wish: Wish, session: aiohttp.ClientSession) -> None:
        kept, retry_s = self._file(url), _FIRST_RETRY_S
        if url not in self._answers:
            self._answers[url] = await asyncio.to_thread(_read, kept)
        if not self._is_too_old(url, wish):
            self._tell(url, self._answers[url].document)
        while True:
            try:
                document = await _fetch(session, url)
            except Exception as error:  # noqa: BLE001 - whatever an answer does, what was believed must grow too old
                self.failures += 1
                _log.warning("keys can't be fetched", url=url, error=str(error) or type(error).__name__)
                if self._is_too_old(url, wish):
                    self._tell(url, b"")
                await asyncio.sleep(retry_s * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, hides nothing
                retry_s = min(retry_s * 2, wish.refresh_s)
                continue
            self._answers[url], retry_s = Answer(document, self.clock()), _FIRST_RETRY_S
            self._tell(url, document)
            await asyncio.to_thread(_write, kept, document)
            await asyncio.sleep(wish.refresh_s * random.uniform(0.9, 1.0))  # noqa: S311

    def _is_too_old(self, url: str, wish: Wish) -> bool:
        return self.clock() - self._answers[url].fetched_at >= wish.max_stale_s

    def _tell(self, url: str, document: bytes) -> None:
        """Where it is another than before, whichever task told that."""
        if document != self._delivered.get(url, b""):
            self._delivered[url] = document
            self.deliver({url: document})

    def _file(self, url: str) -> Path:
        return self.folder / f"{hashlib.blake2b(url.encode(), digest_size=16).hexdigest()}.json"


def _wishes_of(policy: crds.Resource | None) -> list[tuple[str, Wish]]:
    if not isinstance(policy, crds.AuthPolicy) or policy.spec.authentication is None:
        return []
    kinds = [provider.jwt or provider.oidc for provider in policy.spec.authentication.providers]
    sources = [kind.jwks for kind in kinds if kind is not None]
    return [
        (
            source.url,
            Wish(
                refresh_s=max(1.0, crds.milliseconds(source.refresh) / 1000),
                max_stale_s=crds.milliseconds(source.max_stale) / 1000,
            ),
        )
        for source in sources
        if source.url is not None
    ]


async def _fetch(session: aiohttp.ClientSession, url: str) -> bytes:
    """The document; raises ValueError when it is no JWKS."""
    async with session.get(url, headers={"accept": "application/json"}, max_redirects=3) as response:
        response.raise_for_status()
        document = await _read_whole(response.content)
    try:
        value: Any = json.loads(document)
    except RecursionError:
        raise ValueError("The answer is no JWKS: it is nested too deeply.") from None
    if not isinstance(value, dict) or not isinstance(value.get("keys"), list):
        raise ValueError("The answer is no JWKS: it has no list of keys.")
    return document


async def _read_whole(content: aiohttp.StreamReader) -> bytes:
    """A single read would return what has come so far. Raises ValueError for more than MAX_BYTES."""
    document = bytearray()
    async for part in content.iter_chunked(_PART_BYTES):
        document += part
        if len(document) > MAX_BYTES:
            raise ValueError("The answer is larger than 1 MiB.")
    return bytes(document)


def _read(path: Path) -> Answer:
    try:
        return Answer(path.read_bytes(), path.stat().st_mtime)
    except OSError:
        return Answer()


def _write(path: Path, document: bytes) -> None:
    """Also when nothing changed: the time of the file is that of the answer."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = path.with_suffix(".new")
        new.write_bytes(document)
        new.replace(path)
