"""Verifies passwords in threads: bounded work, fair to accounts, and each right one once.

In: a hash and a password. Out: whether it fits, at once where that is remembered, else by a future. Called by the
decision endpoint, by messages and by handshakes.

A hash takes some 50 to 200 ms of a core on purpose, and whoever guesses passwords makes us do that work. So few threads
do it, at a lower priority; each account has few tries under way, and they take turns by account; more than that is not
queued but refused as busy. Callers whose password is remembered, or who have none, notice nothing of it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import secrets
import threading
from collections import OrderedDict, deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from fastforward_pipeline import Proof, VerifyPassword
from fastforward_pipeline.compiled.password import verify_password

MAX_OF_ONE = 2
"""Tries for one account that wait or are under way."""
MAX_WAITING = 32
MAX_REMEMBERED = 10_000
MAX_WRONG = 1_000
PATIENCE_S = 0.3
"""For all who ask about one try, from the first one on: a proxy asks again after some 150 ms, and gives up after half a
second by default. Whoever is told in time that we are busy knows when to come back.
"""
_NICENESS = 3


@dataclass(slots=True)
class _Try:
    """One password that is looked at, for all who wait for it."""

    asked: VerifyPassword
    print: bytes
    until: float
    """Time of the event loop to which anybody waits."""
    waiting: list[asyncio.Future[Proof]]


class PasswordVerifier:
    """`threads` work at the same time. Right passwords are remembered, and few wrong ones: by a hash with a key of this
    process, so that memory holds no password and nothing to guess one with.
    """

    def __init__(self, *, threads: int = 1) -> None:
        self._idle = threads
        self._pool = ThreadPoolExecutor(threads, "passwords", initializer=_step_back)
        self._key = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._wrong: OrderedDict[bytes, None] = OrderedDict()
        self._tries: dict[bytes, _Try] = {}
        self._queues: OrderedDict[str, deque[_Try]] = OrderedDict()
        self._of_one: dict[str, int] = {}

    def verify(self, asked: VerifyPassword) -> Proof | asyncio.Future[Proof]:
        """Returns the answer where it is known at once; else a future that comes to one within PATIENCE_S."""
        print_ = hmac.digest(self._key, f"{asked.hash}\0{asked.password}".encode("utf-8", "replace"), hashlib.sha256)
        if print_ in self._right:
            self._right.move_to_end(print_)
            return Proof.RIGHT
        if print_ in self._wrong:
            return Proof.WRONG
        loop = asyncio.get_running_loop()
        known = self._tries.get(print_)
        if known is None:
            if self._of_one.get(asked.hash, 0) >= MAX_OF_ONE or len(self._tries) >= MAX_WAITING:
                return Proof.BUSY
            known = self._tries[print_] = _Try(asked, print_, loop.time() + PATIENCE_S, [])
            self._of_one[asked.hash] = self._of_one.get(asked.hash, 0) + 1
            self._queues.setdefault(asked.hash, deque()).append(known)
        elif loop.time() >= known.until:
            return Proof.BUSY
        future: asyncio.Future[Proof] = loop.create_future()
        loop.call_at(known.until, _give_up, future)
        known.waiting.append(future)
        self._begin()
        return future

    def close(self, *, wait: bool = False) -> None:
        """Begins nothing more; with `wait`, after what is under way has ended."""
        self._queues.clear()
        self._pool.shutdown(wait=wait, cancel_futures=True)

    def _begin(self) -> None:
        """Lets idle threads take what has waited longest, one account after the other."""
        while self._idle and self._queues:
            hashed, queue = self._queues.popitem(last=False)
            tried = queue.popleft()
            if queue:
                self._queues[hashed] = queue
            self._idle -= 1
            working = asyncio.get_running_loop().run_in_executor(
                self._pool, verify_password, tried.asked.hash, tried.asked.password
            )
            working.add_done_callback(lambda worked, tried=tried: self._end(tried, worked))

    def _end(self, tried: _Try, worked: asyncio.Future[bool]) -> None:
        self._idle += 1
        del self._tries[tried.print]
        left = self._of_one[tried.asked.hash] - 1
        if left:
            self._of_one[tried.asked.hash] = left
        else:
            del self._of_one[tried.asked.hash]
        proof = Proof.BUSY
        if not worked.cancelled() and worked.exception() is None:
            proof = Proof.RIGHT if worked.result() else Proof.WRONG
            _remember(*((self._right, MAX_REMEMBERED) if worked.result() else (self._wrong, MAX_WRONG)), tried.print)
        for future in tried.waiting:
            if not future.done():
                future.set_result(proof)
        self._begin()


def _remember(known: OrderedDict[bytes, None], most: int, print_: bytes) -> None:
    known[print_] = None
    if len(known) > most:
        known.popitem(last=False)


def _give_up(future: asyncio.Future[Proof]) -> None:
    if not future.done():
        future.set_result(Proof.BUSY)


def _step_back() -> None:
    """Lets decisions of this process go first; where threads have no priority of their own, all stays as it is."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
