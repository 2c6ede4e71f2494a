"""Services that are asked about messages: before anything is signed, and what they tell goes on to the target."""

from __future__ import annotations

from fastforward_pipeline import AskService, Reason, ServiceAnswer, Snapshot, TokenBuckets, Unavailable
from fastforward_pipeline.effects import TakeTokens
from fastforward_pipeline.message import INBOUND, Asks, Failed, Outcome, Passage, open_passage

from fastforward.snapshot.v1 import snapshot_pb2 as pb
from support.decision_snapshots import NOW, auth, key_provider
from support.messages import envelope, new_seal, orders

EXTERNAL = pb.ExternalAuthorization(
    upstream="shop/guard",
    path="/authz",
    append_path=True,
    request_headers=["authorization"],
    answer_headers=["x-user"],
    timeout_ms=200,
)


def world() -> Snapshot:
    asking = pb.Authorization(policy="shop/members", external=EXTERNAL)
    policy = auth(providers=[key_provider(any_tenant=True)], authorizations=[asking])
    return orders().apply([policy])


def send(answer: ServiceAnswer | Unavailable) -> tuple[Passage, Outcome, list[AskService]]:
    """A message with credentials and a forged header, when the service answers so."""
    asked: list[AskService] = []
    message = envelope(authorization="Bearer t", x_user="forged", x_mine="1")
    passage = open_passage(message, world(), new_seal(), now=NOW)
    for stage in INBOUND[:5]:
        outcome = stage.process(passage)
        while isinstance(outcome, Asks):
            if isinstance(outcome.effect, TakeTokens):
                outcome = outcome.resume(TokenBuckets().take(outcome.effect, NOW))
            else:
                assert isinstance(outcome.effect, AskService)
                asked.append(outcome.effect)
                outcome = outcome.resume(answer)
        if outcome is not None:
            return passage, outcome, asked
    return passage, None, asked


def fields(passage: Passage) -> dict[str, str]:
    return {field.name: field.value for field in passage.envelope.header.source.fields}


def test_it_is_asked_with_the_credentials_and_what_it_tells_goes_on() -> None:
    passage, outcome, (asked,) = send(ServiceAnswer(200, (("x-user", "jo"),)))
    assert outcome is None
    assert passage.envelope.header.authorization
    assert (asked.path, dict(asked.headers)["authorization"]) == ("/authz/orders", "Bearer t")
    assert dict(asked.headers)["x-ff-subject"] == "ann"
    told = fields(passage)
    assert (told["x-user"], told["x-mine"], told.get("authorization")) == ("jo", "1", None)


def test_what_it_does_not_tell_nobody_does() -> None:
    passage, outcome, _ = send(ServiceAnswer(200))
    assert outcome is None
    assert "x-user" not in fields(passage)


def test_its_no_ends_the_message_unsigned() -> None:
    for answer, reason in (
        (ServiceAnswer(401, (("www-authenticate", "Guard"),)), Reason.EXTERNAL_UNAUTHENTICATED),
        (Unavailable(), Reason.EXTERNAL_UNAVAILABLE),
    ):
        passage, outcome, _ = send(answer)
        assert isinstance(outcome, Failed)
        assert outcome.error.reason == reason
        assert not passage.envelope.header.authorization
