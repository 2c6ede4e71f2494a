"""`ff trace` shows a message's way as a timeline, and says what to do when nobody knows of it."""

from __future__ import annotations

from typing import Any

import yaml

from support.ff import ff
from support.operator_api import operator_api

STEPS = (
    ("in", "ingress", "", 0.0, 0.1),
    ("in", "normalization", "shop/normalizer", 0.1, 0.9),
    ("in", "dispatch", "", 1.0, 3.0),
    ("out", "normalization", "", 4.0, 0.0),
)


def way(id_: str = "m-1", **more: object) -> dict[str, Any]:
    """A message as the API tells it."""
    steps = [
        {"direction": direction, "stage": stage, "elsewhere": elsewhere, "atMs": at, "ms": took}
        for direction, stage, elsewhere, at, took in STEPS
    ]
    return {
        "node": "decision",
        "id": id_,
        "type": "shop.orders.place",
        "tenant": "acme",
        "protocol": "REST",
        "method": "POST",
        "edge": "shop/public",
        "route": "shop/orders",
        "rule": "place",
        "delivery": "CALL",
        "destinations": ["shop/orders"],
        "requestId": "r-1",
        "traceId": "t-1",
        "began": "2026-11-27T08:30:30.123Z",
        "ms": 4.0,
        "verdict": "answered",
        "reason": "",
        "object": "",
        "detail": "",
        "steps": steps,
        **more,
    }


def test_a_timeline_shows_when_each_stage_began_and_how_long_it_took() -> None:
    with operator_api([], [], messages=[way()]) as api:
        said = ff("trace", "m-1", "--api", api)
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[0] == "m-1  answered in 4.000 ms"
    assert "  route       shop/orders, rule place" in lines
    assert "  trace       t-1" in lines
    assert not any(line.startswith("  reason") for line in lines)
    ingress, elsewhere, dispatch, out = lines[-4:]
    assert ingress.split()[:5] == ["in", "ingress", "0.000", "0.100", "ms"]
    assert elsewhere.endswith(f"{'.' * 1}{'#' * 9}{'.' * 30} at shop/normalizer")
    assert dispatch.endswith(f" {'.' * 10}{'#' * 30}")
    assert out.endswith(f" {'.' * 39}#")


def test_what_failed_says_why() -> None:
    told = way(verdict="failed", reason="normalization/reply-malformed", object="Schema shop/order", detail="no sku")
    with operator_api([], [], messages=[told]) as api:
        out = ff("trace", "m-1", "--api", api).out
    assert "m-1  failed in 4.000 ms" in out
    for line in ("reason      normalization/reply-malformed", "said by     Schema shop/order", "because     no sku"):
        assert f"  {line}\n" in out


def test_all_messages_of_a_request_are_shown_the_first_one_first() -> None:
    later, earlier = way("m-2", began="2026-11-27T08:30:31Z"), way("m-1")
    with operator_api([], [], messages=[later, earlier]) as api:
        out = ff("trace", "r-1", "--api", api).out
        assert out.index("m-1  ") < out.index("m-2  ")
        found = ff("trace", "t-1", "-o", "json", "--api", api).json["messages"]
        assert [each["id"] for each in found] == ["m-1", "m-2"]
        assert yaml.safe_load(ff("trace", "m-2", "-o", "yaml", "--api", api).out) == {"messages": [later]}


def test_what_nobody_knows_of_is_exit_code_one_with_the_reason() -> None:
    with operator_api([], [], messages=[way()], silent=["decision/2"]) as api:
        said = ff("trace", "a/b?c", "--api", api)
        as_json = ff("trace", "none", "-o", "json", "--api", api)
    assert (said.code, said.out) == (1, "")
    silent, sentence = said.err.splitlines()
    assert silent == "What decision/2 knows is not shown: it does not answer."
    assert sentence.startswith("No EntryPoint that answers knows of a/b?c: ")
    assert "FF_ENTRYPOINT_REMEMBERED_MESSAGES" in sentence
    assert (as_json.code, as_json.json) == (1, {"messages": []})


def test_a_message_that_took_no_time_is_shown() -> None:
    with operator_api([], [], messages=[way(ms=0.0)]) as api:
        assert ff("trace", "m-1", "--api", api).code == 0


def test_no_id_is_a_wrong_call() -> None:
    said = ff("trace", "")
    assert said.code == 2
    assert said.err.startswith("Name the ID of a message")
