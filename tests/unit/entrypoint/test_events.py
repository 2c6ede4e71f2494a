"""What happens is told to those who listen for it: of its type and tenant, in order, and nobody waits for them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from fastforward_entrypoint.messages.events import QUEUED, Events, Happened
from fastforward_entrypoint.messages.listening import Standing
from fastforward_pipeline import Reason
from fastforward_pipeline.message import Answered, Failed

from fastforward.message.v1 import envelope_pb2
from fastforward.snapshot.v1 import snapshot_pb2
from support.decision_snapshots import apikeys, host, plan, stored_key, tenant
from support.happened import PLACED, happened, kind
from support.message_exchange import Holder, entrypoint
from support.message_target import message_target
from support.messages import SECRET, TARGET, envelope, orders


def event(
    number: int, type_: str = PLACED, tenant: str = "acme", route: str = TARGET, edge_namespace: str = "shop"
) -> Happened:
    header = envelope_pb2.Header(id=str(number), type=type_, tenant=tenant)
    return happened(envelope_pb2.Envelope(header=header), route=route, edge_namespace=edge_namespace)


async def ids(events: AsyncIterator[envelope_pb2.Envelope]) -> list[str]:
    return [each.header.id async for each in events]


async def test_a_listener_hears_its_type_and_tenant_in_order() -> None:
    events = Events()
    acme, globex = events.listen(kind()), events.listen(kind(tenant="globex"))
    for each in (event(1), event(2, tenant="globex"), event(3, type_="shop.orders.paid"), event(4)):
        events.publish(each)
    acme.close()
    events.publish(event(5))
    globex.close()
    assert (await ids(acme), await ids(globex)) == (["1", "4"], ["2"])


async def test_a_listener_that_does_not_keep_up_loses_its_place_and_no_other_does() -> None:
    events = Events()
    slow, other = events.listen(kind()), events.listen(kind())
    for number in range(QUEUED + 2):
        events.publish(event(number))
        assert (await anext(other)).header.id == str(number)
    other.close()
    assert await ids(slow) == [str(number) for number in range(QUEUED)]


async def test_types_and_tenants_of_other_namespaces_are_others() -> None:
    events = Events()
    ours = events.listen(kind())
    others = [events.listen(kind(namespace="evil")), events.listen(kind(edge_namespace="evil"))]
    events.publish(event(1))
    events.publish(event(2, route="shop/returns"))
    events.publish(event(3, route="evil/orders"))
    events.publish(event(4, edge_namespace="evil"))
    for listener in (ours, *others):
        listener.close()
    assert [await ids(each) for each in (ours, *others)] == [["1", "2"], ["3"], ["4"]]


async def test_closing_twice_is_closing_once() -> None:
    listener = Events().listen(kind())
    listener.close()
    await listener.aclose()
    assert await ids(listener) == []


def sent(upstream: str = "", event: str = "") -> snapshot_pb2.MessageDispatch:
    return snapshot_pb2.MessageDispatch(type=PLACED, upstream=upstream, event=event)


async def test_what_has_been_handled_is_told_once_and_to_its_tenant() -> None:
    rule = sent(upstream=TARGET, event=PLACED)
    async with message_target() as target, entrypoint(target.address, message=rule) as exchange:
        heard = await exchange.listen(envelope(message_id="listening"))
        assert not isinstance(heard, Failed)
        for _ in range(2):
            assert isinstance(await exchange.exchange(envelope(once="k", message_id="asked")), Answered)
        told = await anext(heard)
        header = told.header
        assert (header.kind, header.type, header.tenant) == (envelope_pb2.KIND_EVENT, PLACED, "acme")
        assert (header.causation_id, header.identity.subject) == ("asked", "ann")
        assert told.payload.body == b'{"order":7}'
        assert not header.authorization


EVIL = "evil.example"


@pytest.mark.parametrize(
    ("route", "edge", "heard"),
    [
        ("shop/listening", "shop/public", True),
        ("evil/listening", "shop/public", False),
        ("shop/listening", "evil/public", False),
        ("evil/listening", "evil/public", False),
    ],
)
async def test_nobody_hears_events_by_a_route_or_an_edge_of_another_namespace(
    route: str, edge: str, *, heard: bool
) -> None:
    """Without credentials: in a namespace of his own, anybody has a host that says the tenant, and asks for nothing."""
    listening = plan("listening", "/placed", message=sent())
    listening.plan.route = route
    snapshot = orders(message=sent(upstream=TARGET, event=PLACED)).apply(
        [*host(listening, name=EVIL, edge=edge, host_tenant="acme"), tenant("acme", edge.partition("/")[0])]
    )
    async with message_target() as target, entrypoint(target.address, holder=Holder(snapshot)) as exchange:
        asked = envelope(key="", path="/placed")
        asked.header.source.edge, asked.header.source.host = edge, EVIL
        listener = await exchange.listen(asked)
        assert isinstance(listener, Standing)
        assert isinstance(await exchange.exchange(envelope()), Answered)
        listener._listener.close()
        assert [each.header.type for each in [each async for each in listener]] == [PLACED] * heard


async def test_who_may_not_ask_may_not_listen() -> None:
    async with entrypoint("127.0.0.1:1", message=sent()) as exchange:
        refused = await exchange.listen(envelope(key=""))
    assert isinstance(refused, Failed)
    assert refused.error.reason == Reason.KEY_MISSING.value


async def test_what_is_taken_from_a_caller_is_taken_from_its_listeners() -> None:
    holder = Holder(orders(message=sent()))
    async with entrypoint("127.0.0.1:1", holder=holder) as exchange:
        heard = await exchange.listen(envelope(message_id="listening"))
        assert isinstance(heard, Standing)
        exchange.events.publish(event(1))
        assert (await anext(heard)).header.id == "1"
        holder.current = holder.current.apply([tenant("other")])
        exchange.events.publish(event(2))
        assert (await anext(heard)).header.id == "2"
        holder.current = holder.current.apply([apikeys()])
        exchange.events.publish(event(3))
        assert await ids(heard) == []
        assert heard.refused is not None
        assert (heard.refused.error.reason, heard.refused.error.message_id) == (Reason.KEY_UNKNOWN.value, "listening")
        assert not exchange.events._listeners


async def test_a_listener_is_of_the_tenant_that_it_was() -> None:
    holder = Holder(orders(message=sent()))
    async with entrypoint("127.0.0.1:1", holder=holder) as exchange:
        heard = await exchange.listen(envelope())
        assert isinstance(heard, Standing)
        moved = stored_key("ANN", SECRET, tenant="globex", subject="ann", roles=["buyer"])
        holder.current = holder.current.apply([apikeys(moved), tenant("globex")])
        exchange.events.publish(event(1))
        assert await ids(heard) == []


@pytest.mark.parametrize(("route", "type_"), [("evil/orders", PLACED), ("shop/orders", "shop.orders.paid")])
async def test_whoever_listens_hears_no_more_once_the_rule_has_listeners_for_other_events(
    route: str, type_: str
) -> None:
    holder = Holder(orders(message=sent()))
    async with entrypoint("127.0.0.1:1", holder=holder) as exchange:
        heard = await exchange.listen(envelope())
        assert isinstance(heard, Standing)
        changed = plan("orders", "/orders", auth="shop/members", message=snapshot_pb2.MessageDispatch(type=type_))
        changed.plan.route = route
        holder.current = holder.current.apply(host(changed))
        exchange.events.publish(event(1))
        assert await ids(heard) == []
        assert heard.refused is not None
        assert heard.refused.error.reason == Reason.NO_ROUTE.value


async def test_events_are_handed_on_and_those_of_others_only_heard() -> None:
    events, handed_on = Events(), list[str]()
    events.hand_on = lambda told: handed_on.append(told.event.header.id)
    listener = events.listen(kind())
    events.publish(event(1))
    events.hear(event(2))
    listener.close()
    assert (await ids(listener), handed_on) == (["1", "2"], ["1"])


async def test_what_is_only_listened_to_takes_no_messages() -> None:
    async with entrypoint("127.0.0.1:1", message=sent()) as exchange:
        refused = await exchange.exchange(envelope())
    assert isinstance(refused, Failed)
    assert refused.error.reason == Reason.NO_ROUTE.value


async def test_the_plan_that_the_proxy_knew_governs() -> None:
    async with message_target() as target, entrypoint(target.address) as exchange:
        message = envelope(path="/elsewhere")
        message.header.source.plan = "orders"
        assert isinstance(await exchange.exchange(message), Answered)


async def test_a_plan_that_nobody_knows_any_more_is_refused_for_now() -> None:
    async with entrypoint("127.0.0.1:1") as exchange:
        message = envelope()
        message.header.source.plan = "gone"
        refused = await exchange.exchange(message)
    assert isinstance(refused, Failed)
    assert refused.error.reason == Reason.PLAN_UNKNOWN.value
