"""Bodies of proxied requests: what is judged, what is refused, and what goes unjudged nowhere."""

# ruff: noqa: ANN401 - fields of messages and requests are handed on as they are

import json
from typing import Any

import pytest
from fastforward_pipeline import Decision, Reason, Request, Snapshot, Trail
from fastforward_pipeline.problem import problem_json

from fastforward.snapshot.v1 import snapshot_pb2 as pb
from support.decision_snapshots import ask, decided, host, plan, snapshot

ORDER = {"type": "object", "required": ["sku"], "properties": {"sku": {"type": "string", "maxLength": 3}}}
JSON = {"content-type": "application/json"}


def schema(document: object = ORDER) -> pb.Resource:
    version = pb.SchemaVersion(name="v1", document=json.dumps(document).encode())
    return pb.Resource(
        name="schema/shop/order", schema=pb.Schema(format=pb.SCHEMA_FORMAT_JSON_SCHEMA, versions=[version])
    )


def rules(**fields: Any) -> pb.BodyRules:
    given: dict[str, Any] = {
        "schema": pb.SchemaVersionRef(schema="shop/order", version="v1"),
        "max_bytes": 64,
        **fields,
    }
    return pb.BodyRules(**given)


def world(*more: pb.Resource, **fields: Any) -> Snapshot:
    return snapshot(host(plan("a", body=rules(**fields))), *(more or (schema(),)))


def send(content: bytes | None, method: str = "POST", **fields: Any) -> Request:
    given: dict[str, Any] = {"headers": JSON, "body_bytes": len(content or b""), **fields}
    return ask(method=method, content=content, **given)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"sku": "abc"}', None),
        (b'{"sku": "abcd"}', Reason.CONTENT_INVALID),
        (b"{}", Reason.CONTENT_INVALID),
        (b"", Reason.CONTENT_INVALID),
        (b"{", Reason.CONTENT_MALFORMED),
        (b'{"sku": "a", "sku": "b"}', Reason.CONTENT_MALFORMED),
        (b'{"sku": NaN}', Reason.CONTENT_MALFORMED),
        (b"\xff", Reason.CONTENT_MALFORMED),
        (b"[" * 64, Reason.CONTENT_MALFORMED),
        (b'{"sku": "abc"}'.ljust(64), None),
        (b'{"sku": "abc"}'.ljust(65), Reason.BODY_TOO_LARGE),
    ],
)
def test_a_body_keeps_the_schema_or_goes_nowhere(content: bytes, reason: Reason | None) -> None:
    assert decided(world(), send(content)).reason is reason
    assert decided(world(), send(content, body_bytes=None)).reason is reason


def test_what_is_judged_is_the_body_as_it_goes_on() -> None:
    """No canonical form: a text that only that of it would keep the schema breaks it."""
    upper = {"properties": {"at": {"type": "string", "format": "date-time"}}}
    assert decided(world(schema(upper)), send(b'{"at": "2026-11-27 12:00:00"}')).reason is Reason.CONTENT_INVALID


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (send(b"", "GET", headers={}), None),
        (send(b"", "GET", headers={}, body_bytes=None), None),
        (send(b"", "DELETE", headers={}), None),
        (send(b"{}", "DELETE"), Reason.CONTENT_INVALID),
        (send(b"", "GET", body_bytes=7), Reason.CONTENT_INVALID),
        (send(b"", "GET", headers={"upgrade": "WebSocket"}), Reason.CONTENT_UNTYPED),
        (send(b"", "CONNECT", headers={}), Reason.CONTENT_UNTYPED),
        (send(b'{"sku": "abc"}', headers={**JSON, "upgrade": "h2c"}), None),
        (send(b'{"sku": "abc"}', body_bytes=65), Reason.BODY_TOO_LARGE),
        (send(b'{"sku": "abc"}', headers={}), Reason.CONTENT_UNTYPED),
        (
            send(b'{"sku": "abc"}', headers={"content-type": "application/json; charset=latin-1"}),
            Reason.CONTENT_MALFORMED,
        ),
        (send(b'{"sku": "abc"}', headers={"content-type": "application/x+json"}), None),
        (send(b'{"sku": "abc"}', headers={**JSON, "content-encoding": "deflate"}), Reason.CONTENT_UNTYPED),
        (send(b'{"sku": "abc"}', headers={**JSON, "content-encoding": "identity, br"}), Reason.CONTENT_UNTYPED),
        (send(b'{"sku": "abc"}', headers={**JSON, "content-encoding": "Identity"}), None),
        (send(b"", "GET", headers={"content-encoding": "gzip"}), None),
    ],
)
def test_who_needs_a_body_and_of_which_type(request_: Request, reason: Reason | None) -> None:
    assert decided(world(), request_).reason is reason


def test_the_client_is_told_where_and_the_trail_no_values() -> None:
    refused = decided(world(), send(b'{"sku": "secret"}'))
    assert refused.refusal is not None
    assert (refused.status, refused.refusal.object, refused.refusal.field) == (422, "Schema shop/order", "/sku")
    assert "secret" not in refused.refusal.detail
    told = json.loads(problem_json(refused))
    assert [(each["pointer"], each["rule"]) for each in told["errors"]] == [("/sku", "maxLength")]


def test_in_the_shadow_it_is_reported_and_passes() -> None:
    watched = world(shadow=True)
    for content, reason in (
        (b'{"sku": "abcd"}', Reason.CONTENT_INVALID),
        (b"x" * 65, Reason.BODY_TOO_LARGE),
    ):
        decision = decided(watched, send(content))
        assert (decision.allowed, [refusal.reason for refusal in decision.would_refuse]) == (True, [reason])
    assert decided(watched, send(b'{"sku": "abc"}')).would_refuse == ()


def test_without_its_schema_nothing_passes() -> None:
    other = pb.Resource(name="schema/shop/other", schema=pb.Schema())
    refused = decided(world(other), send(b'{"sku": "abc"}'))
    assert (refused.status, refused.reason) == (503, Reason.SCHEMA_MISSING)


def test_the_beginning_that_the_proxy_held_does_not_pass_for_the_whole() -> None:
    """Everybody's rule bounds bodies lower than the rule of the tenant to which the caller leads."""
    judged = host(plan("tenants", body=rules()), tenant="acme")
    everybodys = host(
        plan("a", body=rules(max_bytes=20)), host_tenant="", tenant_header="x-tenant", trusted=["0.0.0.0/0"]
    )
    tenant = pb.Resource(name="tenant/shop/acme", tenant=pb.Tenant(name="acme"))
    snapshot_ = snapshot(everybodys, judged[1:], schema(), tenant)

    def send_on(content: bytes, length: int | None) -> Decision:
        asked = send(content, headers={**JSON, "x-tenant": "acme"}, peer="10.0.0.1", body_bytes=length)
        return decided(snapshot_, asked)

    fitting = b'{"sku": "abc"}'
    assert send_on(fitting.ljust(20), 20).allowed
    for length in (None, 50):
        refused = send_on(fitting.ljust(21), length)
        assert (refused.status, refused.reason) == (503, Reason.CONTENT_UNSEEN)


def test_what_the_proxy_did_not_hold_does_not_pass_for_empty() -> None:
    """The proxy asked about a rule that holds nothing, and the caller's tenant leads to one that judges."""
    judged = host(plan("tenants", body=rules()), tenant="acme")
    everybodys = host(plan("a"), host_tenant="", tenant_header="x-tenant", trusted=["0.0.0.0/0"])
    tenant = pb.Resource(name="tenant/shop/acme", tenant=pb.Tenant(name="acme"))
    snapshot_ = snapshot(everybodys, judged[1:], schema(), tenant)
    asked = send(b"", headers={**JSON, "x-tenant": "acme"}, peer="10.0.0.1", body_bytes=14)
    refused = decided(snapshot_, asked)
    assert (refused.status, refused.reason) == (503, Reason.CONTENT_UNSEEN)


def explained(request_: Request) -> tuple[Decision, list[tuple[str, str]]]:
    trail = Trail()
    decision = decided(world(), request_, trail=trail)
    found = [finding for finding in trail.findings if finding.object == "Schema shop/order"]
    return decision, [(str(finding.verdict), finding.detail) for finding in found]


def test_an_explanation_says_that_it_has_no_body_to_judge() -> None:
    decision, told = explained(send(None))
    assert (decision.allowed, told) == (True, [("skipped", "the body is not at hand here, and so not judged")])
    assert decided(world(), send(None, body_bytes=65)).reason is Reason.BODY_TOO_LARGE
    _, told = explained(send(b'{"sku": "abc"}'))
    assert [verdict for verdict, _ in told] == ["passed"]


@pytest.mark.parametrize("broken", [{"max_bytes": 0}, {"schema": pb.SchemaVersionRef()}])
def test_rules_that_would_judge_nothing_are_no_rules(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="bodies"):
        world(**broken)
