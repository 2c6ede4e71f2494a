"""Connections of all workers and replicas: those of this process directly, the others by asking who holds them.

In: connections, and what is to be done with some. Out: the same as in one process; and events, of whoever tells them to
whoever listens. There is no table of connections in Redis: the id of one says which process holds it, and processes say
that they are there (wire). So a connection costs Redis nothing, and none is remembered that is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import structlog
from fastforward_kit.validation import fault_of
from fastforward_websocket import Connected, Live
from google.protobuf.message import DecodeError
from redis.asyncio import Redis

from fastforward.peer.v1 import peer_pb2
from fastforward_entrypoint.messages.events import Events, Happened
from fastforward_entrypoint.messages.identifier import make_message_id

from .in_process import LocalConnections, process_of
from .port import Done, Elsewhere, Listed, Whose
from .wire import RedisWire
from .written import read_connected, read_whose, write_connected, write_whose

log = structlog.get_logger(__name__)

ANSWER_S = 1.0
"""How long other processes are waited for."""
LIST = 1000
"""Connections that one process tells of at once."""


@dataclass(slots=True)
class _Waiting:
    """Answers to a question as they come, by process."""

    answers: dict[str, peer_pb2.Answer] = field(default_factory=dict)
    more: asyncio.Event = field(default_factory=asyncio.Event)

    async def of(self, processes: frozenset[str]) -> bool:
        """Whether all of them have answered in time."""
        try:
            async with asyncio.timeout(ANSWER_S):
                while not processes <= self.answers.keys():
                    self.more.clear()
                    await self.more.wait()
        except TimeoutError:
            return False
        return True


class _Answers(NamedTuple):
    found: Iterable[peer_pb2.Answer]
    elsewhere: Elsewhere

    @property
    def total(self) -> int:
        return sum(answer.count for answer in self.found)


class RedisConnections:
    """`run` must be running; without Redis, what is asked for is done in this process, and said to be done there."""

    def __init__(self, local: LocalConnections, events: Events, client: Redis) -> None:
        self._local = local
        self._events = events
        self._wire = RedisWire(client, local.process, self._take)
        self._waiting: dict[str, _Waiting] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self.errors = self._wire.errors
        events.hand_on = self._hand_on

    def make_id(self) -> str:
        """See the port."""
        return self._local.make_id()

    def add(self, live: Live) -> None:
        """See the port."""
        self._local.add(live)

    def remove(self, id_: str) -> None:
        """See the port."""
        self._local.remove(id_)

    async def list(self, whose: Whose, limit: int) -> Listed:
        """See the port."""
        here = await self._local.list(whose, limit)
        asked = await self._ask(peer_pb2.Question(list=min(limit, LIST)), whose)
        there = (read_connected(each) for answer in asked.found for each in answer.connections)
        found: list[Connected] = sorted((*here.connections, *there), key=lambda about: about.since)
        return Listed(tuple(found[:limit]), here.total + asked.total, asked.elsewhere)

    async def push(self, frame: str, whose: Whose) -> Done:
        """See the port."""
        here = await self._local.push(frame, whose)
        asked = await self._ask(peer_pb2.Question(push=frame), whose)
        return Done(here.count + asked.total, asked.elsewhere)

    async def close(self, code: int, reason: str, whose: Whose) -> Done:
        """See the port."""
        here = await self._local.close(code, reason, whose)
        asked = await self._ask(peer_pb2.Question(close=peer_pb2.Close(code=code, reason=reason)), whose)
        return Done(here.count + asked.total, asked.elsewhere)

    async def run(self) -> None:
        """Answers others and hears from them, until cancelled."""
        await self._wire.run()

    async def end(self) -> None:
        """Lets go of Redis."""
        for task in self._answering:
            task.cancel()
        await self._wire.close()

    async def _ask(self, question: peer_pb2.Question, whose: Whose) -> _Answers:
        """Asks whoever may hold such connections."""
        to = "" if whose.id is None else process_of(whose.id)
        if whose.id is not None and to in {"", self._local.process}:
            return _Answers((), Elsewhere.ANSWERED)
        question.id = make_message_id()
        question.whose.CopyFrom(write_whose(whose))
        letter = peer_pb2.Letter(sender=self._local.process, question=question)
        waiting = self._waiting[question.id] = _Waiting()
        try:
            told = await self._wire.ask(letter.SerializeToString(), to)
            if told is None:
                return _Answers((), Elsewhere.UNREACHABLE)
            in_time = await waiting.of(told.processes)
        finally:
            del self._waiting[question.id]
        elsewhere = Elsewhere.UNREACHABLE if told.silent else Elsewhere.ANSWERED
        return _Answers(tuple(waiting.answers.values()), elsewhere if in_time else Elsewhere.LATE)

    def _hand_on(self, happened: Happened) -> None:
        letter = peer_pb2.Letter(
            sender=self._local.process,
            event=happened.event,
            route=happened.route,
            edge_namespace=happened.edge_namespace,
        )
        self._wire.hand_on(letter.SerializeToString())

    def _take(self, text: bytes) -> None:
        """A letter of another process, or of this one: events come back to whoever tells them."""
        try:
            letter = peer_pb2.Letter.FromString(text)
        except DecodeError:
            self._refuse(text, "no message")
            return
        if fault := fault_of(letter):
            self._refuse(text, fault)
            return
        if letter.sender == self._local.process:
            return
        match letter.WhichOneof("content"):
            case "question":
                task = asyncio.ensure_future(self._answer(letter.sender, letter.question))
                self._answering.add(task)
                task.add_done_callback(self._answering.discard)
            case "answer":
                waiting = self._waiting.get(letter.answer.id)
                if waiting is not None:
                    waiting.answers[letter.sender] = letter.answer
                    waiting.more.set()
            case "event":
                self._hear(letter)

    def _hear(self, letter: peer_pb2.Letter) -> None:
        """Nobody hears what does not say whose it is, as older releases tell it: it may be of any namespace."""
        if letter.route and letter.edge_namespace:
            self._events.hear(Happened(letter.event, letter.route, letter.edge_namespace))
        else:
            self._refuse(letter.SerializeToString(), "the event says no Route and Edge: an older release tells it")

    def _refuse(self, text: bytes, why: str) -> None:
        self.errors["garbage"] += 1
        log.warning("letter malformed", bytes=len(text), why=why)

    async def _answer(self, sender: str, question: peer_pb2.Question) -> None:
        """Does what another process asks for, with connections of this one."""
        whose, answer = read_whose(question.whose), peer_pb2.Answer(id=question.id)
        match question.WhichOneof("asked"):
            case "push":
                answer.count = (await self._local.push(question.push, whose)).count
            case "close":
                answer.count = (await self._local.close(question.close.code, question.close.reason, whose)).count
            case "list":
                listed = await self._local.list(whose, question.list)
                answer.count = listed.total
                answer.connections.extend(map(write_connected, listed.connections))
        letter = peer_pb2.Letter(sender=self._local.process, answer=answer)
        await self._wire.answer(letter.SerializeToString(), sender)
