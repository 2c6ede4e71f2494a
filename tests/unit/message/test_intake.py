"""What adapters hear, as a message: what of a request counts for the operations that are found in it."""

from __future__ import annotations

import pytest
from fastforward_pipeline import Reason, Snapshot
from fastforward_pipeline.message import INBOUND, Failed, Intake, Operation, open_passage

from fastforward.message.v1 import envelope_pb2
from fastforward.snapshot.v1 import snapshot_pb2 as pb
from support.decision_snapshots import EDGE, HOST, NOW, host, plan, snapshot
from support.messages import TARGET, TYPE, new_seal

PAGE = f"https://{HOST}"


def world() -> Snapshot:
    """POST /orders takes JSON, from the host's own pages."""
    rule = plan("orders", "/orders", message=pb.MessageDispatch(type=TYPE, upstream=TARGET))
    rule.plan.csrf.CopyFrom(pb.Csrf())
    rule.plan.admission.CopyFrom(pb.Admission(content_types=["application/json"]))
    return snapshot(host(rule))


def refused(*, origin: str = PAGE, media_type: str = "application/json") -> Reason | None:
    """Why an order is refused that comes in a frame of a connection that a page has opened."""
    told = {"content-type": ("text/plain",), "x-ff-edge": (EDGE,), **({"origin": (origin,)} if origin else {})}
    intake = Intake(protocol=envelope_pb2.PROTOCOL_WEBSOCKET, headers=told, host=HOST)
    operation = Operation(method="POST", target="/orders", body=b"{}", media_type=media_type)
    passage = open_passage(intake.found(operation, message_id="m", now=NOW), world(), new_seal(), now=NOW)
    for stage in INBOUND:
        outcome = stage.process(passage)
        if isinstance(outcome, Failed):
            return Reason(outcome.error.reason)
        assert outcome is None
    return None


@pytest.mark.parametrize(
    ("media_type", "reason"),
    [("application/json", None), ("text/plain", Reason.CONTENT_TYPE), ("", Reason.CONTENT_TYPE)],
)
def test_an_operation_is_admitted_by_its_own_media_type(media_type: str, reason: Reason | None) -> None:
    assert refused(media_type=media_type) is reason


@pytest.mark.parametrize(
    ("origin", "reason"), [(PAGE, None), ("https://evil.test", Reason.PAGE_FOREIGN), ("", Reason.PAGE_FOREIGN)]
)
def test_an_operation_comes_from_the_page_that_sent_the_request(origin: str, reason: Reason | None) -> None:
    assert refused(origin=origin) is reason
