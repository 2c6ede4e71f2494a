"""What proxies tell of ended requests: it is counted, whatever they tell."""

from __future__ import annotations

import asyncio

import pytest
from fastforward_entrypoint.counters import InProcessCounterStore
from fastforward_entrypoint.counters.patience import take_patiently
from fastforward_entrypoint.ends import Ends
from fastforward_kit.http import Request
from fastforward_pipeline.effects import Answer, Bucket, GiveBack, Slots, TakeTokens, Unavailable, Verdict
from fastforward_pipeline.ends import Charge, write_ends
from prometheus_client import CollectorRegistry

from fastforward.otlp.v1 import otlp_pb2

BUCKET = Bucket("{shop/tokens}0a1b", 1000, 1000, 3_600_000)
CHARGE = Charge(BUCKET, "usage.total_tokens", 5)


def told(**attributes: str) -> Request:
    pairs = [otlp_pb2.KeyValue(key=key, value=otlp_pb2.AnyValue(string_value=text)) for key, text in attributes.items()]
    record = otlp_pb2.LogRecord(attributes=pairs)
    scope = otlp_pb2.ScopeLogs(log_records=[record])
    export = otlp_pb2.ExportLogsServiceRequest(resource_logs=[otlp_pb2.ResourceLogs(scope_logs=[scope])])
    return Request("POST", "/ends", {"x-ff-ends": ("1",)}, export.SerializeToString())


def left(store: InProcessCounterStore, bucket: Bucket | Slots = BUCKET) -> float:
    asked = Bucket(bucket.key, 1000, 1000, 3_600_000, cost=0.0) if isinstance(bucket, Bucket) else bucket
    return store.take(TakeTokens((asked,))).levels[0].tokens


@pytest.fixture
def store() -> InProcessCounterStore:
    return InProcessCounterStore(clock=lambda: 0.0)


@pytest.mark.parametrize(
    ("status", "cost", "expected"),
    [
        ("200", '{"read":1,"usage.total_tokens":42}', 958),
        ("200", '{"read":1}', 995),
        ("200", "-", 995),
        ("0", "-", 1000),
        ("503", "", 1000),
    ],
)
def test_what_an_answer_cost_is_taken(store: InProcessCounterStore, status: str, cost: str, expected: int) -> None:
    ends = Ends(store, registry := CollectorRegistry())
    assert ends.handle(told(ends=write_ends((CHARGE,)), status=status, cost=cost)).status == 200
    assert left(store) == expected
    known = "yes" if "total" in cost else "no"
    labels = {"limit": "shop/tokens", "told": known}
    assert registry.get_sample_value("fastforward_answer_units_total", labels) == 1000 - expected


@pytest.mark.parametrize(
    "asked",
    [
        Request("POST", "/ends", {}, b"\xff\xff"),
        told(ends="nonsense", status="200"),
        told(ends=write_ends((CHARGE,)), status="?"),
        told(ends=write_ends((CHARGE,)), status="200", cost="{broken"),
        told(ends=write_ends((CHARGE,)), status="200", cost='{"usage.total_tokens": null}'),
        told(status="200"),
    ],
)
def test_what_nobody_understands_is_refused_and_takes_nothing(store: InProcessCounterStore, asked: Request) -> None:
    assert Ends(store, CollectorRegistry()).handle(asked).status == 400
    assert left(store) == 1000


def test_places_are_given_back(store: InProcessCounterStore) -> None:
    places = Slots("{shop/at-once}@once", 1, 60_000)
    taken = store.take(TakeTokens((places,)))
    assert store.take(TakeTokens((places,))).levels[0].refused
    ends = Ends(store, CollectorRegistry())
    ends.handle(told(ends=write_ends((GiveBack(places.key, taken.holder),)), status="200", cost="-"))
    assert not store.take(TakeTokens((places,))).levels[0].refused


class Away:
    """A store that can't be reached."""

    def take(self, effect: TakeTokens) -> Answer:
        del effect
        return Unavailable()


def test_what_the_counters_cannot_take_is_counted_as_lost() -> None:
    ends = Ends(Away(), registry := CollectorRegistry())
    assert ends.handle(told(ends=write_ends((CHARGE,)), status="200", cost="-")).status == 200
    assert registry.get_sample_value("fastforward_ends_lost_total", {"why": "unavailable"}) == 1.0


async def test_a_place_that_is_given_back_in_time_is_had(store: InProcessCounterStore) -> None:
    places = TakeTokens((Slots("{shop/at-once}@once", 1, 60_000),))
    taken = store.take(places)
    asking = take_patiently(store, places)
    assert isinstance(asking, asyncio.Future)
    store.take(TakeTokens((GiveBack("{shop/at-once}@once", taken.holder),)))
    answer = await asking
    assert isinstance(answer, Verdict)
    assert not answer.levels[0].refused


async def test_who_is_refused_by_something_else_is_not_made_to_wait(store: InProcessCounterStore) -> None:
    both = TakeTokens((Slots("{shop/at-once}@once", 1, 60_000), Bucket("{shop/few}", 1, 1, 3_600_000)))
    assert isinstance(take_patiently(store, both), Verdict)
    assert isinstance(take_patiently(store, both), Verdict)
