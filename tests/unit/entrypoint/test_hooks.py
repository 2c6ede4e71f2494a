"""Webhooks: signed so that who is not us believes them, tried again where that helps, and kept until they arrive."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from fastforward_entrypoint.messages.hooks import Dead, Delivered, Delivery, Hooks, Later, Outcome
from fastforward_entrypoint.messages.hooks.cloudevent import write_event
from fastforward_entrypoint.messages.hooks.sending import WebhookSender
from fastforward_entrypoint.messages.hooks.signature import sign
from fastforward_kit.telemetry import Tally
from fastforward_pipeline import Snapshot
from fastforward_pipeline.compiled.eventhook import EventHook
from fastforward_shield.breaker import State
from standardwebhooks.webhooks import WebhookVerificationError

from fastforward.message.v1 import envelope_pb2
from fastforward.snapshot.v1 import snapshot_pb2 as pb
from support.credentials import certificate_pem, private_key_pem, webhook_key
from support.eventually import eventually, meanwhile
from support.happened import happened
from support.message_exchange import Holder
from support.processes import free_port
from support.webhooks import KEY, NAME, PLACED, Posted, Receiver, hook_to, receiving, secret_of, statuses, wire_hook

ROUTE = "shop/orders"


def event(number: int = 1, body: bytes = b'{"order":7}', media_type: str = "application/json") -> envelope_pb2.Envelope:
    return envelope_pb2.Envelope(
        header=envelope_pb2.Header(
            id=f"event-{number}",
            kind=envelope_pb2.KIND_EVENT,
            type=PLACED,
            tenant="acme",
            causation_id="message-1",
        ),
        payload=envelope_pb2.Payload(media_type=media_type, body=body),
    )


class TestEvents:
    """The body: CloudEvents 1.0."""

    def test_it_says_what_happened_where_and_why(self) -> None:
        told = event()
        told.header.trace.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        assert json.loads(write_event(told, ROUTE, 1_800_000_000.25)) == {
            "specversion": "1.0",
            "id": "event-1",
            "source": "/routes/shop/orders",
            "type": PLACED,
            "time": "2027-01-15T08:00:00.250Z",
            "tenant": "acme",
            "causationid": "message-1",
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "datacontenttype": "application/json",
            "data": {"order": 7},
        }

    @pytest.mark.parametrize("media_type", ["application/json; v=1", 'application/problem+json;profile="a"'])
    def test_json_may_have_parameters(self, media_type: str) -> None:
        told = json.loads(write_event(event(media_type=media_type), ROUTE, 0.0))
        assert (told["data"], told["datacontenttype"]) == ({"order": 7}, media_type)

    def test_content_that_is_no_json_is_in_base64_and_none_is_absent(self) -> None:
        octets = json.loads(write_event(event(body=b"\x00\xff", media_type="image/png"), ROUTE, 0.0))
        assert (octets["data_base64"], "data" in octets) == ("AP8=", False)
        assert {"data", "data_base64"} & json.loads(write_event(event(body=b""), ROUTE, 0.0)).keys() == set()


@asynccontextmanager
async def sender(**options: Any) -> AsyncGenerator[WebhookSender]:  # noqa: ANN401
    made = WebhookSender(jitter=lambda: 1.0, **options)
    yield made
    await made.close()


def delivery(tries: int = 0, body: bytes = b'{"specversion":"1.0"}') -> Delivery:
    return Delivery("event-1", NAME, body, tries)


async def outcome_of(answer: Callable[[Posted], web.Response], failed: int = 0, **fields: Any) -> Outcome:  # noqa: ANN401
    async with receiving(answer) as receiver, sender() as sending:
        return await sending.send(hook_to(receiver.port, **fields), delivery(failed))


class TestSending:
    """One try."""

    async def test_a_receiver_that_verifies_believes_it(self) -> None:
        async with receiving() as receiver, sender() as sending:
            assert await sending.send(hook_to(receiver.port), delivery()) == Delivered()
        [posted] = receiver.received
        assert (posted.path, posted.body) == ("/hooks?of=orders", b'{"specversion":"1.0"}')
        assert posted.headers["content-type"] == "application/cloudevents+json"
        posted.verify()

    @pytest.mark.parametrize("part", ["body", "webhook-id", "webhook-timestamp", "webhook-signature", "key", "age"])
    async def test_a_forged_one_is_refused(self, part: str) -> None:
        clock = (lambda: time.time() - 600) if part == "age" else time.time
        async with receiving() as receiver, sender(clock=clock) as sending:
            await sending.send(hook_to(receiver.port), delivery())
        [posted] = receiver.received
        match part:
            case "body":
                posted = replace(posted, body=posted.body.replace(b"1.0", b"1.1"))
            case "webhook-id":
                posted = replace(posted, headers={**posted.headers, part: posted.headers[part] + "1"})
            case "webhook-signature":
                other = sign((secret_of(webhook_key("another")),), "event-1", int(time.time()), posted.body)
                posted = replace(posted, headers={**posted.headers, part: other[part]})
            case "webhook-timestamp":
                later = str(int(posted.headers[part]) + 1)
                posted = replace(posted, headers={**posted.headers, part: later})
        with pytest.raises(WebhookVerificationError):
            posted.verify(webhook_key("another") if part == "key" else KEY)

    async def test_while_a_key_is_changed_both_sign(self) -> None:
        new = webhook_key("new")
        async with receiving() as receiver, sender() as sending:
            await sending.send(hook_to(receiver.port, keys=(KEY, new)), delivery())
            await sending.send(hook_to(receiver.port, keys=(new,)), delivery())
        changing, changed = receiver.received
        changing.verify(KEY)
        changing.verify(new)
        changed.verify(new)
        with pytest.raises(WebhookVerificationError):
            changed.verify(KEY)

    @pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
    async def test_what_may_pass_is_tried_again_after_pauses_that_double(self, status: int) -> None:
        told = [await outcome_of(statuses(status), tries) for tries in range(4)]
        assert told == [
            Later(wait_s, tries, f"the answer is {status}") for tries, wait_s in enumerate((0.01, 0.02, 0.04, 0.08), 1)
        ]
        assert await outcome_of(statuses(status), failed=4) == Dead(5, f"the answer is {status}", 3)

    @pytest.mark.parametrize("status", [301, 307, 400, 401, 404, 410, 422])
    async def test_what_would_be_the_same_again_is_given_up_at_once(self, status: int) -> None:
        answer = statuses(status, location="/elsewhere")
        assert await outcome_of(answer) == Dead(1, f"the answer is {status}", 3)

    async def test_a_pause_has_its_bound_and_a_receiver_may_ask_for_more_but_not_for_more_than_that(self) -> None:
        many = {"tries": 20, "first_wait_ms": 1000, "longest_wait_ms": 60_000}
        assert await outcome_of(statuses(503), 15, **many) == Later(60.0, 16, "the answer is 503")
        assert await outcome_of(statuses(429, retry_after="30"), **many) == Later(30.0, 1, "the answer is 429")
        assert await outcome_of(statuses(429, retry_after="999999"), **many) == Later(60.0, 1, "the answer is 429")
        assert await outcome_of(statuses(503, retry_after="soon"), **many) == Later(1.0, 1, "the answer is 503")
        for never in (
            "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
            "Mon, 01 Jan 10000 00:00:00 GMT",
            "٣",
            "1" * 5000,
        ):
            told = await outcome_of(statuses(503, retry_after=never), **many)
            assert isinstance(told, Later), never
            assert told.tries == 1
        dated = await outcome_of(statuses(503, retry_after=formatdate(time.time() + 30, usegmt=True)), **many)
        assert isinstance(dated, Later)
        assert 25 < dated.wait_s <= 30

    async def test_one_that_is_not_there_or_too_slow_is_tried_again(self) -> None:
        async with sender() as sending:
            gone = await sending.send(hook_to(free_port()), delivery())
            assert isinstance(gone, Later)
            assert gone.tries == 1
            async with silent() as port:
                slow = await sending.send(hook_to(port, timeout_ms=50), delivery())
        assert isinstance(slow, Later)
        assert (slow.tries, "did not answer" in slow.why) == (1, True)

    async def test_a_receiver_that_fails_all_the_time_is_left_alone_and_that_is_no_try(self) -> None:
        hook = hook_to(free_port(), tries=100)
        async with sender() as sending:
            outcomes = [await sending.send(hook, delivery()) for _ in range(30)]
            [hop] = sending
            assert hop.state().breaker is State.OPEN
        assert [each.tries for each in outcomes if isinstance(each, Later)] == [1] * 20 + [0] * 10

    async def test_a_connection_is_used_again_and_places_take_turns(self) -> None:
        async with receiving() as one, receiving() as other, sender() as sending:
            for _ in range(4):
                await sending.send(hook_to(one.port, other.port), delivery())
        assert (len(one.received), len(other.received)) == (2, 2)

    async def test_a_connection_is_used_again_whose_answer_comes_in_pieces(self) -> None:
        connections: list[asyncio.StreamWriter] = []

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connections.append(writer)
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while await reader.readuntil(b'{"specversion":"1.0"}'):
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no")
                    await asyncio.sleep(0.02)
                    writer.write(b"k")
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        hook = hook_to(server.sockets[0].getsockname()[1])
        async with server, sender() as sending:
            assert [await sending.send(hook, delivery()) for _ in range(3)] == [Delivered()] * 3
            await sending.close()
            await eventually(lambda: all(each.is_closing() for each in connections))
        assert len(connections) == 1

    async def test_over_tls_only_the_named_receiver_is_told(self, tmp_path: Path) -> None:
        tls = tls_of(tmp_path, "hooks.example.com")
        trusted = ssl.create_default_context(cadata=certificate_pem("hooks.example.com"))
        async with receiving(tls=tls) as receiver, sender(trust=lambda: trusted) as sending:
            named = hook_to(receiver.port, tls=True, server_name="hooks.example.com")
            assert await sending.send(named, delivery()) == Delivered()
            assert receiver.received[0].headers["host"] == "hooks.example.com"
            other = hook_to(receiver.port, tls=True, server_name="other.example.com")
            assert isinstance(await sending.send(other, delivery()), Later)
        async with receiving(tls=tls) as receiver, sender() as sending:
            assert isinstance(await sending.send(hook_to(receiver.port, tls=True), delivery()), Later)
            assert receiver.received == []


def tls_of(folder: Path, host: str) -> ssl.SSLContext:
    """What a server with a certificate for the host has."""
    (folder / "chain").write_text(certificate_pem(host))
    (folder / "key").write_text(private_key_pem(host))
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(folder / "chain", folder / "key")
    return made


@asynccontextmanager
async def silent() -> AsyncGenerator[int]:
    """A server that takes connections and says nothing."""

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.read(1 << 16):
                pass
        finally:
            writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    yield port
    server.close()


class Broken(WebhookSender):
    """Has a defect."""

    async def send(self, hook: EventHook, delivery: Delivery) -> Outcome:
        raise OverflowError(f"a defect: {hook.name} {delivery.event}")


class Telling:
    """Hooks over EventHooks that a test changes, in this process alone."""

    def __init__(self, make: Callable[[], WebhookSender] = WebhookSender) -> None:
        self.holder = Holder(Snapshot.empty())
        self.tally = Tally("ff_hook_events", "", ("hook", "outcome"))
        self.hooks = Hooks(self.holder, make, self.tally)

    def put(self, name: str = NAME, wire: pb.EventHook | None = None) -> None:
        resource = pb.Resource(name=f"eventhook/{name}", eventhook=wire) if wire is not None else None
        upserts, removed = ([resource], []) if resource is not None else ([], [f"eventhook/{name}"])
        self.holder.current = self.holder.current.apply(upserts, removed)

    async def tell(self, *numbers: int, route: str = ROUTE, again: bool = False) -> None:
        for number in numbers:
            await self.hooks.tell(happened(event(number), route=route, again=again))

    def count(self, outcome: str, hook: str = NAME) -> int:
        return self.tally.counts[hook, outcome]


@pytest.fixture
async def telling() -> AsyncGenerator[Telling]:
    made = Telling()
    async with meanwhile(made.hooks.run()):
        yield made
    await made.hooks.close()


@pytest.fixture
async def receiver() -> AsyncGenerator[Receiver]:
    async with receiving() as made:
        yield made


class TestDelivering:
    """From the event to the receivers."""

    async def test_each_hook_that_wants_it_is_told_and_no_other(self, telling: Telling, receiver: Receiver) -> None:
        async with receiving() as second, receiving() as other:
            telling.put(NAME, wire_hook(receiver.port))
            telling.put("shop/mail", wire_hook(second.port, events=["shop.orders.paid", PLACED]))
            telling.put("shop/paid", wire_hook(other.port, events=["shop.orders.paid"]))
            telling.put("elsewhere/warehouse", wire_hook(other.port))
            await telling.tell(1, 2)
            await eventually(lambda: len(receiver.received) == len(second.received) == 2)
            assert sorted(receiver.ids) == sorted(second.ids) == ["event-1", "event-2"]
            assert other.received == []
            await eventually(lambda: telling.count("delivered") == 2)

    async def test_a_receiver_that_is_away_for_a_while_gets_all_of_them(
        self, telling: Telling, receiver: Receiver
    ) -> None:
        await receiver.stop()
        telling.put(wire=wire_hook(receiver.port, tries=20))
        await telling.tell(*range(50))
        await eventually(lambda: telling.count("failed") >= 20)
        await receiver.start()
        await eventually(lambda: telling.count("delivered") == 50)
        assert set(receiver.ids) == {f"event-{number}" for number in range(50)}
        assert telling.count("dead") == 0

    async def test_one_event_has_one_id_however_often_it_is_tried(self, telling: Telling, receiver: Receiver) -> None:
        receiver.answer = statuses(503, 503)
        telling.put(wire=wire_hook(receiver.port))
        await telling.tell(1)
        await eventually(lambda: telling.count("delivered") == 1)
        assert receiver.ids == ["event-1"] * 3
        for posted in receiver.received:
            posted.verify()

    async def test_what_is_refused_for_good_is_a_dead_letter(self, telling: Telling, receiver: Receiver) -> None:
        receiver.answer = statuses(400)
        telling.put(wire=wire_hook(receiver.port))
        await telling.tell(1, 2)
        await eventually(lambda: (telling.count("dead"), telling.count("delivered")) == (1, 1))

    async def test_an_event_that_can_not_even_be_sent_is_given_up_after_its_tries(self) -> None:
        broken = Telling(Broken)
        broken.put(wire=wire_hook(free_port(), tries=3, longest_wait_ms=10))
        async with meanwhile(broken.hooks.run()):
            await broken.tell(1)
            await eventually(lambda: broken.count("dead") == 1)
        assert broken.count("failed") == 2
        await broken.hooks.close()

    async def test_a_slow_receiver_keeps_up_nobody_else(self, telling: Telling, receiver: Receiver) -> None:
        async with silent() as port:
            telling.put("shop/slow", wire_hook(port, timeout_ms=30_000))
            telling.put(NAME, wire_hook(receiver.port))
            await telling.tell(*range(100))
            await eventually(lambda: telling.count("delivered") == 100, seconds=10)

    async def test_events_wait_for_a_hook_that_has_no_key_yet(self, telling: Telling, receiver: Receiver) -> None:
        telling.put(wire=wire_hook(receiver.port, keys=()))
        await telling.tell(1)
        telling.put(wire=wire_hook(receiver.port))
        await eventually(lambda: telling.count("delivered") == 1)

    async def test_what_a_hook_is_by_now_counts(self, telling: Telling, receiver: Receiver) -> None:
        telling.put(wire=wire_hook(free_port(), tries=20))
        await telling.tell(1)
        await eventually(lambda: telling.count("failed"))
        telling.put(wire=wire_hook(receiver.port, tries=20))
        await eventually(lambda: receiver.ids == ["event-1"])

    async def test_events_of_a_hook_that_is_gone_are_dropped_and_counted(self, telling: Telling) -> None:
        telling.put(wire=wire_hook(keys=()))
        await telling.tell(1, 2)
        await eventually(lambda: telling.hooks._names)
        telling.put()
        await eventually(lambda: telling.count("dropped") == 2)

    async def test_a_repeated_message_tells_nothing_again(self, telling: Telling, receiver: Receiver) -> None:
        telling.put(wire=wire_hook(receiver.port))
        await telling.tell(1, again=True)
        await telling.tell(2)
        await eventually(lambda: telling.count("delivered") == 1)
        assert receiver.ids == ["event-2"]

    async def test_its_hops_are_shown(self, telling: Telling, receiver: Receiver) -> None:
        telling.put(wire=wire_hook(receiver.port))
        await telling.tell(1)
        await eventually(lambda: receiver.received)
        hops: Iterator[str] = (hop.name for hop in telling.hooks)
        assert list(hops) == ["hook shop/warehouse"]


def test_a_hook_that_could_never_be_told_is_refused() -> None:
    for broken in (wire_hook(events=[]), wire_hook(tries=0), wire_hook(timeout_ms=0)):
        with pytest.raises(ValueError, match="eventhook/shop/warehouse"):
            Snapshot.empty().apply([pb.Resource(name=f"eventhook/{NAME}", eventhook=broken)])
