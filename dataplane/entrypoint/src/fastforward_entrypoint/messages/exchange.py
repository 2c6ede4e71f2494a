"""EntryPoint's heart: a message through seven stages, to its target, and the reply through five more.

In: an Envelope that an adapter made. Out: the reply, or why there is none. Called by adapters, in the same process or
over gRPC. The order of the stages is `fastforward_pipeline.message.INBOUND` and `OUTBOUND`; here effects are answered.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import NamedTuple

from fastforward_kit.lifecycle import let_end
from fastforward_pipeline.effects import AskService, TakeTokens, Unavailable, VerifyPassword
from fastforward_pipeline.message import (
    DISPATCH,
    IN,
    INBOUND,
    LISTENED_TO,
    OUT,
    OUTBOUND,
    Answered,
    Asks,
    Begin,
    Effect,
    Failed,
    Finish,
    Inbound,
    Outcome,
    Passage,
    Replied,
    Seal,
    answer_headers,
    make_event,
    open_passage,
    refuse,
)
from fastforward_pipeline.reason import Reason
from fastforward_pipeline.trail import Trail

from fastforward.message.v1 import envelope_pb2
from fastforward_entrypoint.counters import CounterStore
from fastforward_entrypoint.counters.patience import take_patiently
from fastforward_entrypoint.endpoint import Current
from fastforward_entrypoint.ends import Ends
from fastforward_entrypoint.external import ServiceAsker
from fastforward_entrypoint.passwords import PasswordVerifier

from .answer import UNANSWERED, call_target, unanswered
from .commands import Commands, NoCommands
from .commands.answer import send_command
from .events import Events, EventSink, Happened, make_kind
from .gather import Gatherer
from .identifier import make_event_id, make_message_id
from .listening import Standing
from .once import Fate, OnceStore, Settling
from .stages import Remote, Stages
from .targets import Targets
from .watch import Watch, unwatched

_JUDGING = tuple(stage for stage in INBOUND if stage.name != "tracking")
"""Of what is asked for no answer: there is nothing to remember."""
_CLOSING_S = 2.0


class Callees(NamedTuple):
    """Whom messages are sent to on their way, who looks at passwords, who asks others, and who sees them pass."""

    targets: Targets
    stages: Stages
    hooks: EventSink | None = None
    watch: Watch | None = None
    commands: Commands = NoCommands()
    passwords: PasswordVerifier | None = None
    services: ServiceAsker | None = None
    ends: Ends | None = None


class MessageExchange:
    """Takes messages one by one, many at once. `clock` tells Unix time."""

    def __init__(
        self,
        snapshots: Current,
        counters: CounterStore,
        once: OnceStore,
        callees: Callees,
        seal: Seal,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._ends = callees.ends
        self._snapshots = snapshots
        self._counters = counters
        self._once = once
        self._settling = Settling(once)
        self._targets, self._stages, hooks = callees.targets, callees.stages, callees.hooks
        self._gatherer = Gatherer(self._targets, once, self._settling)
        self._watch = callees.watch or unwatched()
        self._commands = callees.commands
        self._passwords = callees.passwords or PasswordVerifier()
        self._services = callees.services
        self._seal = seal
        self.events = Events()
        """Whoever listens in this process."""
        self._sinks: tuple[EventSink, ...] = (self.events,) if hooks is None else (self.events, hooks)
        self._going: set[asyncio.Future[Answered | Failed]] = set()
        self._clock = clock

    async def exchange(self, envelope: envelope_pb2.Envelope, trail: Trail | None = None) -> Answered | Failed:
        """Returns the reply, or why there is none. The snapshot of the beginning holds to the end."""
        if not envelope.header.idempotency_key:
            return await self._take(envelope, trail)
        # Whoever has a key may be cut off and come again for the result: it is waited for in any case.
        taking = asyncio.ensure_future(self._take(envelope, trail))
        self._going.add(taking)
        taking.add_done_callback(self._going.discard)
        return await asyncio.shield(taking)

    async def _take(self, envelope: envelope_pb2.Envelope, trail: Trail | None) -> Answered | Failed:
        passage = self._open(envelope, trail)
        try:
            outcome = await self._pass_through(passage)
        except BaseException:
            self._watch.end(passage, None)
            raise
        finally:
            self._end(passage)
        self._watch.end(passage, outcome)
        return outcome

    def _end(self, passage: Passage) -> None:
        """What limits wait for. Who ran the stage elsewhere is told nothing: leases end by themselves."""
        if passage.exchange.ends and self._ends is not None:
            self._ends.end_inside(passage.exchange.ends)

    async def _pass_through(self, passage: Passage) -> Answered | Failed:
        ended = await self._bring_in(passage, INBOUND)
        if isinstance(ended, Failed):
            return ended
        if isinstance(ended, Replied):
            result, handled = ended.reply, ended.reply.header.causation_id
        else:
            result = await self._settling.handle(passage.claim, lambda fate: self._call(passage, fate))
            handled = passage.envelope.header.id
        if isinstance(result, Failed):
            return result
        answered = await self._send_back(passage, result)
        if isinstance(answered, Answered):
            await self._tell(passage, answered.reply, handled)
        return answered

    async def listen(self, envelope: envelope_pb2.Envelope) -> AsyncIterator[envelope_pb2.Envelope] | Failed:
        """Returns the events of the message's kind, to whom may send such a message."""
        passage = self._open(envelope, None)
        try:
            ended = await self._bring_in(passage, _JUDGING)
        except BaseException:
            self._watch.end(passage, None)
            raise
        finally:
            self._end(passage)
        header = envelope.header
        outcome: Failed | Standing
        if isinstance(ended, Failed):
            outcome = ended
        else:
            exchange = passage.exchange
            kind = make_kind(exchange.final.route, exchange.scope.namespace, header.type, header.tenant)
            outcome = Standing(self.events.listen(kind), envelope, exchange, self._snapshots, self._clock)
        self._watch.end(passage, outcome)
        return outcome

    async def close(self) -> None:
        """Ends what goes on beside."""
        await let_end(self._going, _CLOSING_S)
        await self._settling.close()

    def _open(self, envelope: envelope_pb2.Envelope, trail: Trail | None) -> Passage:
        token = make_message_id() if envelope.header.idempotency_key else ""
        now, snapshot = self._clock(), self._snapshots.current
        passage = open_passage(envelope, snapshot, self._seal, now=now, token=token, trail=trail)
        passage.recorder = self._watch.begin(envelope)
        return passage

    async def _bring_in(self, passage: Passage, stages: Iterable[Inbound]) -> Failed | Replied | None:
        for stage in stages:
            elsewhere = self._stages.find(passage, stage.name)
            passage.recorder.enter(IN, stage.name, "" if elsewhere is None else elsewhere.upstream)
            if elsewhere is not None:
                ended = await self._ask(elsewhere, stage, passage)
            else:
                ended = await self._answer(stage.process(passage))
            if ended is not None:
                return ended
        return None

    async def _ask(self, remote: Remote, stage: Inbound, passage: Passage) -> Failed | Replied | None:
        """Nobody goes on without a stage: where it can't be had, the message ends. Pods of the operator come and go:
        what they can't do now is done here.
        """
        envelope = passage.envelope
        try:
            return await self._stages.process(remote, stage.name, passage, self._deadline(passage))
        except UNANSWERED as error:
            failed = unanswered(envelope, error, f"stages of {remote.upstream}")
        if not remote.pods or failed.error.reason != Reason.UNREACHABLE.value:
            return failed
        passage.recorder.enter(IN, stage.name)
        return await self._answer(stage.process(passage))

    async def _tell(self, passage: Passage, reply: envelope_pb2.Envelope, handled: str) -> None:
        """The event that the rule tells of, if any; `handled` is the id of the message that was."""
        plan = passage.exchange.final
        type_ = plan.wire.message.event
        if type_:
            passage.recorder.enter(OUT, "events")
            event = make_event(passage.envelope, reply, type_, make_event_id(handled))
            event.header.causation_id = handled
            told_before = reply.header.transaction.repeated
            happened = Happened(event, plan.route, passage.exchange.scope.namespace, told_before)
            for sink in self._sinks:
                await sink.tell(happened)

    async def _answer(self, outcome: Outcome) -> Failed | Replied | None:
        """Answers what a stage asks until it has made up its mind."""
        while isinstance(outcome, Asks):
            outcome = outcome.resume(await self._perform(outcome.effect))
        return outcome

    async def _perform(self, effect: Effect) -> object:
        match effect:
            case TakeTokens():
                taken = take_patiently(self._counters, effect)
                return await taken if isinstance(taken, asyncio.Future) else taken
            case VerifyPassword():
                found = self._passwords.verify(effect)
                return await found if isinstance(found, asyncio.Future) else found
            case AskService():
                return await self._services.ask(effect) if self._services is not None else Unavailable()
            case Begin():
                return await self._once.begin(effect)
            case Finish():
                return await self._settling.finish(effect)

    async def _call(self, passage: Passage, fate: Fate) -> envelope_pb2.Envelope | Failed:
        passage.recorder.enter(IN, DISPATCH)
        envelope = passage.envelope
        destinations = envelope.header.routing.destinations
        if not destinations:
            return refuse(envelope, LISTENED_TO)
        deadline = self._deadline(passage)
        if passage.exchange.final.gathers:
            return await self._gatherer.gather(passage, deadline)
        if envelope.header.routing.delivery == envelope_pb2.DELIVERY_COMMAND:
            return await send_command(self._commands, envelope, deadline, fate)
        return await call_target(self._targets, destinations[0], envelope, deadline, fate)

    def _deadline(self, passage: Passage) -> float:
        """Returns the message's deadline as the event loop's time; infinite for none."""
        return asyncio.get_running_loop().time() + passage.until - self._clock()

    async def _send_back(self, passage: Passage, reply: envelope_pb2.Envelope) -> Answered | Failed:
        for stage in OUTBOUND:
            passage.recorder.enter(OUT, stage.name)
            ended = await self._answer(stage.process(passage, reply))
            if isinstance(ended, Failed):
                return ended
        return Answered(reply, answer_headers(passage))
