"""What each stage says of a message, what it writes into its header, and that it signs what it allowed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fastforward_pipeline import Reason, Snapshot, TokenBuckets
from fastforward_pipeline.effects import TakeTokens, Unavailable
from fastforward_pipeline.message import (
    INBOUND,
    UNKNOWN,
    Asks,
    Begin,
    Beginning,
    Failed,
    Outcome,
    Passage,
    Seal,
    make_acceptance,
    make_verifier,
    open_passage,
    outbound,
    preferred_wait_s,
)
from fastforward_pipeline.message.passage import GRACE_S, lease_s
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import OKPKey

from fastforward.message.v1 import envelope_pb2, error_pb2
from fastforward.snapshot.v1 import snapshot_pb2
from fastforward.snapshot.v1 import snapshot_pb2 as pb
from support.decision_snapshots import (
    HOST,
    NOW,
    apikeys,
    auth,
    budget,
    host,
    key_provider,
    limit,
    plan,
    snapshot,
    stored_key,
)
from support.messages import KEY, SECRET, TARGET, TYPE, envelope, new_seal, orders, reply

SEAL = new_seal()
WORLD = orders()


def send(
    message: envelope_pb2.Envelope,
    world: Snapshot = WORLD,
    *,
    seal: Seal = SEAL,
    known: Beginning | Unavailable | None = None,
    buckets: TokenBuckets | None = None,
) -> tuple[Passage, Outcome]:
    """The message through all stages in, with counters in memory; `known` is what the store of keys says."""
    counters = buckets or TokenBuckets()
    passage = open_passage(message, world, seal, now=NOW)
    for stage in INBOUND:
        outcome = stage.process(passage)
        while isinstance(outcome, Asks):
            if isinstance(outcome.effect, TakeTokens):
                outcome = outcome.resume(counters.take(outcome.effect, NOW))
            else:
                assert isinstance(outcome.effect, Begin)
                outcome = outcome.resume(known or Beginning(first=True))
        if outcome is not None:
            return passage, outcome
    return passage, None


def refused(message: envelope_pb2.Envelope, world: Snapshot = WORLD) -> error_pb2.Error:
    _, outcome = send(message, world)
    assert isinstance(outcome, Failed)
    return outcome.error


def test_a_message_that_passes_says_who_sends_it_where_it_goes_and_that_it_may() -> None:
    passage, outcome = send(envelope())
    header = passage.envelope.header
    assert outcome is None
    assert (header.identity.subject, header.tenant, list(header.identity.roles)) == ("ann", "acme", ["buyer"])
    assert (header.type, list(header.routing.destinations), header.routing.route) == (TYPE, [TARGET], "shop/orders")
    assert passage.envelope.payload.body == b'{"quantity":2,"sku":"abc"}'
    assert SEAL.broken(passage.envelope, NOW) == ""


def test_credentials_go_no_further_than_authentication() -> None:
    passage, _ = send(envelope(authorization="Bearer x", cookie="a=b", accept="*/*"))
    names = {field.name for field in passage.envelope.header.source.fields}
    assert names & {"x-api-key", "authorization", "cookie"} == set()
    assert "accept" in names
    assert SECRET.encode() not in passage.envelope.SerializeToString()


def test_a_key_is_a_credential_whatever_its_header_is_called() -> None:
    passage, outcome = send(envelope(key="", x_shop_key=KEY), orders(header="x-shop-key"))
    assert outcome is None
    assert SECRET.encode() not in passage.envelope.SerializeToString()


@pytest.mark.parametrize(
    ("message", "reason", "code"),
    [
        (envelope(path="/none"), Reason.NO_ROUTE, error_pb2.CODE_NOT_FOUND),
        (envelope(path="/a b"), Reason.MALFORMED, error_pb2.CODE_INVALID_ARGUMENT),
        (envelope(key=""), Reason.KEY_MISSING, error_pb2.CODE_UNAUTHENTICATED),
        (envelope(key=KEY + "x"), Reason.KEY_UNKNOWN, error_pb2.CODE_UNAUTHENTICATED),
        (envelope(key=f"ffk_BOB_{SECRET}"), Reason.NOT_GRANTED, error_pb2.CODE_PERMISSION_DENIED),
        (envelope(b"{"), Reason.CONTENT_MALFORMED, error_pb2.CODE_INVALID_ARGUMENT),
    ],
    ids=lambda value: value.value if isinstance(value, Reason) else "",
)
def test_a_message_that_fails_a_stage_gets_an_error_that_every_protocol_has_words_for(
    message: envelope_pb2.Envelope, reason: Reason, code: error_pb2.Code.ValueType
) -> None:
    error = refused(message)
    assert (error.reason, error.code, error.message_id) == (reason.value, code, message.header.id)
    assert error.title


def test_a_rule_that_sends_no_messages_any_more_refuses_them() -> None:
    world = snapshot(host(plan("orders", "/orders")))
    assert refused(envelope(key=""), world).reason == Reason.UNAVAILABLE


@pytest.mark.parametrize("exact", [True, False])
def test_limits_count_messages_whoever_counts_requests(exact: bool) -> None:
    world = orders(limit("shop/limit", "TENANT", exact=exact, budget=budget(requests=2)))
    buckets = TokenBuckets()
    outcomes = [send(envelope(), world, buckets=buckets)[1] for _ in range(3)]
    assert outcomes[:2] == [None, None]
    assert isinstance(outcomes[2], Failed)
    assert outcomes[2].error.reason == Reason.EXCEEDED
    assert any(name == "retry-after" for name, _ in outcomes[2].headers)


class TestSeal:
    def sealed(self) -> envelope_pb2.Envelope:
        return send(envelope())[0].envelope

    @pytest.mark.parametrize(
        "change",
        [
            lambda e: setattr(e.header, "tenant", "other"),
            lambda e: setattr(e.header.identity, "subject", "root"),
            lambda e: setattr(e.header, "type", "shop.orders.cancel"),
            lambda e: setattr(e.payload, "body", b"{}"),
            lambda e: setattr(e.header, "idempotency_key", "x"),
            lambda e: e.header.deadline.FromSeconds(NOW + 60),
            lambda e: e.header.identity.roles.append("admin"),
        ],
        ids=["tenant", "subject", "type", "body", "key", "deadline", "roles"],
    )
    def test_a_message_that_was_changed_is_refused(self, change: object) -> None:
        message = self.sealed()
        assert callable(change)
        change(message)
        assert "changed" in SEAL.broken(message, NOW)

    def test_what_later_stages_write_breaks_nothing(self) -> None:
        message = self.sealed()
        message.header.routing.shard = "eu-1"
        message.header.transaction.id = "t"
        message.header.trace.traceparent = "00-x"
        assert SEAL.broken(message, NOW) == ""

    @pytest.mark.parametrize("authorization", ["", "x", "a.b.c", "e30.e30.e30"])
    def test_what_is_no_authorization_is_refused(self, authorization: str) -> None:
        message = self.sealed()
        message.header.authorization = authorization
        assert SEAL.broken(message, NOW)

    def test_the_authorization_of_another_message_is_refused(self) -> None:
        first, second = self.sealed(), send(envelope(message_id="other"))[0].envelope
        second.header.authorization = first.header.authorization
        assert "another" in SEAL.broken(second, NOW)

    def test_a_key_that_nobody_gave_out_signs_nothing(self) -> None:
        message = send(envelope(), seal=new_seal())[0].envelope
        assert "not known" in SEAL.broken(message, NOW)

    def test_after_its_deadline_an_authorization_holds_no_more(self) -> None:
        assert "ended" in SEAL.broken(self.sealed(), NOW + 16)

    @given(place=st.integers(0, 200), byte=st.integers(0, 255))
    def test_no_byte_of_a_signature_can_be_another(self, place: int, byte: int) -> None:
        message = self.sealed()
        text = bytearray(message.header.authorization.encode())
        place %= len(text) - 1  # the last digit of base64url has bits that nobody reads
        if text[place] == byte or byte > 127:
            return
        text[place] = byte
        message.header.authorization = text.decode()
        assert SEAL.broken(message, NOW)


class TestTracking:
    def test_a_message_without_a_key_is_not_tracked(self) -> None:
        passage, outcome = send(envelope())
        assert (outcome, passage.claim) == (None, None)

    @pytest.mark.parametrize(
        ("once", "method", "reason"),
        [
            ("", "POST", Reason.IDEMPOTENCY_KEY_REQUIRED),
            ("k,l", "POST", Reason.IDEMPOTENCY_KEY_MALFORMED),
            ("k1", "POST", None),
            ("", "GET", None),
        ],
    )
    def test_a_rule_may_ask_for_a_key_of_what_changes_something(
        self, once: str, method: str, reason: Reason | None
    ) -> None:
        world = orders(message=snapshot_pb2.MessageDispatch(type=TYPE, upstream=TARGET, key_required=True))
        message = envelope(once=once)
        message.header.source.method = method
        passage, outcome = send(message, world)
        assert (outcome.error.reason if isinstance(outcome, Failed) else None) == reason
        assert (passage.claim is not None) == (once == "k1")

    def test_a_key_is_the_same_in_quotes(self) -> None:
        assert self._begin().claim.key == self._begin('"k1"').claim.key

    def test_a_new_key_is_remembered(self) -> None:
        passage, outcome = send(envelope(once="k1"))
        assert outcome is None
        assert passage.claim is not None

    def test_keys_are_the_callers_own(self) -> None:
        def remembered(once: str) -> str:
            claim = send(envelope(once=once))[0].claim
            assert claim is not None
            return claim.key

        assert remembered("k1") == remembered("k1") != remembered("k2")

    def test_the_same_message_while_the_first_is_handled_is_in_progress(self) -> None:
        prints = self._print()
        _, outcome = send(envelope(once="k1"), known=Beginning(first=False, print=prints))
        assert isinstance(outcome, Failed)
        assert (outcome.error.reason, outcome.error.code) == (Reason.IN_PROGRESS, error_pb2.CODE_ABORTED)

    def test_another_message_under_the_same_key_is_refused(self) -> None:
        _, outcome = send(envelope(b"{}", once="k1"), known=Beginning(first=False, print=self._print()))
        assert isinstance(outcome, Failed)
        assert outcome.error.reason == Reason.KEY_REUSED

    def test_the_same_content_written_otherwise_is_the_same_message(self) -> None:
        again = envelope(b'{ "quantity":2,"sku":"abc" }', once="k1")
        _, outcome = send(again, known=Beginning(first=False, print=self._print()))
        assert isinstance(outcome, Failed)
        assert outcome.error.reason == Reason.IN_PROGRESS

    @pytest.mark.parametrize(
        ("method", "at", "target", "same"),
        [
            ("DELETE", HOST, "/orders/1", True),
            ("DELETE", f"{HOST.upper()}:8443", "/x/..//orders/1", True),
            ("DELETE", HOST, "/orders/2", False),
            ("DELETE", HOST, "/orders/1?all=true", False),
            ("PUT", HOST, "/orders/1", False),
            ("DELETE", "other.example.com", "/orders/1", False),
        ],
    )
    def test_what_a_message_is_of_is_part_of_it(self, method: str, at: str, target: str, same: bool) -> None:
        elsewhere = plan("elsewhere", "/orders", auth="shop/members", message=pb.MessageDispatch(type=TYPE))
        world = WORLD.apply(host(elsewhere, name="other.example.com"))

        def printed(*source: str) -> str:
            message = envelope(b"", once="k1")
            said = message.header.source
            said.method, said.host, said.target = source
            return self._begin(message=message, world=world).claim.print

        assert (printed(method, at, target) == printed("DELETE", HOST, "/orders/1")) == same

    def test_callers_without_a_subject_and_those_of_several_providers_have_keys_of_their_own(self) -> None:
        def remembered(id_: str, provider: str = "keys", subject: str = "") -> str:
            provided = key_provider(provider, any_tenant=True)
            world = orders().apply(
                [
                    auth("shop/members", "REQUIRED", providers=[provided]),
                    apikeys(stored_key(id_, SECRET, tenant="acme", subject=subject)),
                ]
            )
            return self._begin(message=envelope(once="k1", key=f"ffk_{id_}_{SECRET}"), world=world).claim.key

        assert remembered("ANN") == remembered("ANN") != remembered("BOB")
        assert remembered("ANN", subject="jo") == remembered("BOB", subject="jo") != remembered("ANN")
        assert remembered("ANN", subject="jo") != remembered("ANN", "others", subject="jo")

    @pytest.mark.parametrize(
        ("known", "reason"),
        [
            (Unavailable(), Reason.STORE_UNAVAILABLE),
            (Beginning(first=False, result=b""), Reason.RESULT_NOT_KEPT),
            (Beginning(first=False, result=UNKNOWN), Reason.OUTCOME_UNKNOWN),
        ],
    )
    def test_what_the_store_can_not_tell_goes_no_further(self, known: Beginning | Unavailable, reason: Reason) -> None:
        if isinstance(known, Beginning):
            known = replace(known, print=self._print())
        passage, outcome = send(envelope(once="k1"), known=known)
        assert isinstance(outcome, Failed)
        assert (outcome.error.reason, passage.claim) == (reason, None)

    def test_a_key_is_held_no_longer_than_the_message_lasts(self) -> None:
        assert self._begin().lease_s == pytest.approx(16)

    def _print(self) -> str:
        return self._begin().claim.print

    def _begin(
        self, once: str = "k1", *, message: envelope_pb2.Envelope | None = None, world: Snapshot = WORLD
    ) -> Begin:
        passage = open_passage(message or envelope(once=once), world, SEAL, now=NOW)
        for stage in INBOUND:
            outcome = stage.process(passage)
            if isinstance(outcome, Asks):
                assert isinstance(outcome.effect, Begin)
                return outcome.effect
        raise AssertionError("nothing was tracked")


def test_a_command_goes_to_the_queue_of_its_type_and_what_it_may_do_does_not_end() -> None:
    world = orders(message=pb.MessageDispatch(type=TYPE, delivery=pb.MESSAGE_DELIVERY_COMMAND))
    passage, outcome = send(envelope(once="k"), world)
    header = passage.envelope.header
    assert outcome is None
    assert (header.kind, list(header.routing.destinations)) == (envelope_pb2.KIND_COMMAND, [f"shop/{TYPE}"])
    assert header.routing.delivery == envelope_pb2.DELIVERY_COMMAND
    assert SEAL.broken(passage.envelope, NOW + 86_400) == ""
    assert passage.until == NOW + 15
    assert lease_s(passage) == 15 + GRACE_S


def test_that_a_command_was_taken_is_no_reply_that_a_schema_could_break() -> None:
    world = orders(
        message=pb.MessageDispatch(
            type=TYPE, delivery=pb.MESSAGE_DELIVERY_COMMAND, reply=pb.SchemaVersionRef(schema="shop/none", version="1")
        )
    )
    passage, _ = send(envelope(), world)
    assert outbound.normalize(passage, make_acceptance(passage.envelope, "id")) is None
    assert isinstance(outbound.normalize(passage, reply()), Failed)


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ((), 0),
        (("wait=7",), 7),
        (("respond-async, WAIT=7",), 7),
        (('handling=lenient; wait=3, wait="8"; x=1',), 8),
        (("respond-async", "wait=2"), 2),
        (("wait=1, wait=9",), 1),
        (("wait",), 0),
        (("wait=-1",), 0),
        (("wait=soon",), 0),
        (("wait=1000000000",), 0),
        (("waiting=5",), 0),
    ],
)
def test_how_long_a_caller_waits_is_what_it_prefers(told: tuple[str, ...], seconds: int) -> None:
    others = envelope_pb2.Field(name="accept", value="wait=99")
    assert preferred_wait_s([others, *(envelope_pb2.Field(name="prefer", value=each) for each in told)]) == seconds


def test_a_hop_that_only_verifies_needs_no_private_key() -> None:
    key = OKPKey.generate_key("Ed25519", auto_kid=True)
    passage, _ = send(envelope(), seal=Seal(key, {}))
    other = OKPKey.generate_key("Ed25519", auto_kid=True)
    verifier = make_verifier(other.as_dict(private=True), key.as_dict(private=False))
    assert verifier.broken(passage.envelope, NOW) == ""
    assert "not known here" in make_verifier(other.as_dict(private=False)).broken(passage.envelope, NOW)
    with pytest.raises(ValueError, match="can't authorize"):
        verifier.sign(passage.envelope, "plan")
    with pytest.raises(ValueError, match="none of Ed25519"):
        make_verifier({"kty": "oct", "k": "c2VjcmV0"})
