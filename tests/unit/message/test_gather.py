"""What each of several targets is sent, and the one reply that their answers are."""

from __future__ import annotations

import json

import pytest
from fastforward_pipeline import Reason, Request, Trail
from fastforward_pipeline.message import Claim, Failed, Seal, claim_of, join, make_error, open_passage, part_of
from fastforward_pipeline.message.gather import COMPLETED, FAILED

from fastforward.message.v1 import envelope_pb2, error_pb2
from fastforward.snapshot.v1 import snapshot_pb2 as pb
from support.decision_snapshots import HOST, NOW, decided, host, plan, snapshot
from support.messages import TYPE, envelope, new_seal, reply

PARTS = [pb.GatherPart(upstream=f"shop/{name}", member=name) for name in ("stock", "price")]
ASKED = envelope()
SEAL: Seal = new_seal()


def joined(require: int = 1, **parts: envelope_pb2.Envelope | Failed) -> envelope_pb2.Envelope | Failed:
    return join(ASKED, pb.Gather(parts=PARTS, require=require), parts, "r-1")


def made(require: int = 1, **parts: envelope_pb2.Envelope | Failed) -> tuple[object, dict[str, str]]:
    answer = joined(require, **parts)
    assert isinstance(answer, envelope_pb2.Envelope)
    assert answer.header.id == "r-1"
    return json.loads(answer.payload.body), {each.name: each.value for each in answer.header.completion.fields}


def late(reason: Reason = Reason.OUT_OF_TIME) -> Failed:
    return Failed(make_error(ASKED, reason))


def test_the_reply_has_a_member_for_each_answer() -> None:
    content, told = made(2, stock=reply(b'{ "left": 3 }'), price=reply(b"7.50"))
    assert content == {"stock": {"left": 3}, "price": 7.5}
    assert told == {COMPLETED: "true"}


@pytest.mark.parametrize("media_type", ["application/json; v=1", 'Application/Problem+JSON;profile="a"'])
def test_json_may_have_parameters(media_type: str) -> None:
    assert made(stock=reply(b'{"left": 3}', media_type))[0] == {"stock": {"left": 3}}


def test_nothing_is_null() -> None:
    assert made(stock=reply(b"", ""))[0] == {"stock": None}


@pytest.mark.parametrize(
    ("failed", "reason"),
    [
        (late(), "dispatch/out-of-time"),
        (reply(b"{"), "normalization/reply-malformed"),
        (reply(b"left: 3", "text/plain"), "normalization/reply-malformed"),
        (reply(tenant="other"), "authorization/reply-of-another"),
        (Failed(error_pb2.Error(code=error_pb2.CODE_NOT_FOUND, reason="shop/no-book")), "shop/no-book"),
        (Failed(error_pb2.Error(code=error_pb2.CODE_NOT_FOUND)), "NOT_FOUND"),
        (Failed(error_pb2.Error(code=error_pb2.CODE_NOT_FOUND, reason='"\u00e9')), "NOT_FOUND"),
        (Failed(error_pb2.Error.FromString(b"\x08\x63")), "UNKNOWN"),
    ],
    ids=["late", "malformed", "no JSON", "another's", "own", "own without", "own that is no text", "own of no kind"],
)
def test_who_did_not_answer_is_absent_and_told(failed: envelope_pb2.Envelope | Failed, reason: str) -> None:
    content, told = made(stock=reply(b"3"), price=failed)
    assert content == {"stock": 3}
    assert told == {COMPLETED: "false", FAILED: f'"price";reason="{reason}"'}


def test_with_too_few_answers_there_is_none_and_each_says_why() -> None:
    again = late(Reason.OVERLOADED)
    again.error.retry_after.FromSeconds(3)
    answer = joined(2, stock=again, price=late())
    assert isinstance(answer, Failed)
    error = answer.error
    assert (error.reason, error.code) == (Reason.INCOMPLETE, error_pb2.CODE_UNAVAILABLE)
    assert [(each.pointer, each.rule) for each in error.violations] == [
        ("/stock", "dispatch/overloaded"),
        ("/price", "dispatch/out-of-time"),
    ]
    assert error.retry_after.seconds == 3


def test_a_part_has_a_key_of_its_own_and_is_signed_for_it() -> None:
    passage = open_passage(envelope(once='"k"'), snapshot(host(plan("orders", "/orders"))), SEAL, now=NOW)
    passage.exchange.final = passage.exchange.snapshot.plans["orders"]
    passage.envelope.header.transaction.id = "t"
    passage.claim = Claim("c", "p", "token")
    sent = [part_of(passage, part).header for part in PARTS]
    assert [each.idempotency_key for each in sent] == ['"k/stock"', '"k/price"']
    assert [each.transaction.id for each in sent] == ["t/stock", "t/price"]
    assert [list(each.routing.destinations) for each in sent] == [["shop/stock"], ["shop/price"]]
    assert all(SEAL.broken(part_of(passage, part), NOW) == "" for part in PARTS)
    assert len({claim_of(passage.claim, part).key for part in PARTS} | {"c"}) == 3


def test_who_is_asked_is_told_in_an_explanation() -> None:
    message = pb.MessageDispatch(type=TYPE, gather=pb.Gather(parts=PARTS, require=1))
    trail = Trail()
    request = Request(method="GET", host=HOST, path="/orders", now=NOW)
    decision = decided(snapshot(host(plan("orders", "/orders", message=message))), request, trail=trail)
    assert [each.upstream for each in decision.candidates] == ["shop/stock", "shop/price"]
    assert any("shop/stock as stock, shop/price as price at once, of which 1" in each.detail for each in trail.findings)
