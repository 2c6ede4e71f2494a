"""What one entry of a table becomes, without a proxy."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fastforward_compiler import ir
from fastforward_compiler.emit.decision import plan_name
from fastforward_compiler.emit.envoy.admission import not_admitted
from fastforward_compiler.emit.envoy.chain import AUTHORIZATION, BODY, METADATA, retries
from fastforward_compiler.emit.envoy.chain import CLOSED as CLOSED_FILTER
from fastforward_compiler.emit.envoy.concurrency import CONCURRENCY
from fastforward_compiler.emit.envoy.entry import Setting, emit_entry
from fastforward_compiler.emit.envoy.grpcweb import GRPC_WEB
from fastforward_compiler.emit.envoy.protos import (
    buffer_pb2,
    ext_authz_pb2,
    route_components_pb2,
    transcoder_pb2,
)
from fastforward_compiler.emit.envoy.refusal import (
    BODY_TOO_LARGE,
    CONTENT_TYPE_REFUSED,
    REASON_HEADER,
    Refusal,
    emit_refusal,
)
from fastforward_compiler.emit.envoy.route import MISSING_CLUSTER, emit_retry, emit_split
from fastforward_compiler.emit.envoy.transcoding import TRANSCODER
from fastforward_compiler.emit.envoy.upstream import emit_health_check
from google.protobuf import json_format

from support.ir_values import edge, entry, scope, table, upstream

CLOSED = ir.Admission(deny_addresses=("192.0.2.0/24",))


def setting_of(*entries: ir.Entry, tenant: str = "") -> Setting:
    return Setting(table=table("a", *entries, tenant=tenant), edge=edge(), scope=scope("a"), auths={}, limits={})


def test_what_one_entry_of_a_tenant_does_not_admit_another_does() -> None:
    strict, free = entry("strict", admission=CLOSED), entry("free")
    for order in ((strict, free), (free, strict)):
        setting = setting_of(*order, tenant="acme")
        made = {each.rule: emit_entry(each, setting).typed_per_filter_config for each in order}
        alone = emit_entry(free, setting_of(free, tenant="acme")).typed_per_filter_config
        assert made["free"][AUTHORIZATION] == alone[AUTHORIZATION]
        assert made["strict"][AUTHORIZATION] != alone[AUTHORIZATION]


def test_a_share_without_an_upstream_answers_500_and_the_others_serve() -> None:
    route = route_components_pb2.Route()
    emit_split(ir.Split(shares=(ir.Share(upstream="shop/a", weight=3), ir.Share(upstream="", weight=1))), route)
    action = route.route
    assert [(each.name, each.weight.value) for each in action.weighted_clusters.clusters] == [
        ("shop/a", 3),
        (MISSING_CLUSTER, 1),
    ]
    assert action.cluster_not_found_response_code == route_components_pb2.RouteAction.INTERNAL_SERVER_ERROR


def test_streams_are_no_measure_of_how_long_answers_take() -> None:
    bound = ir.AdaptiveConcurrency(least=1, most=9, percentile=50, measure_every_ms=1000)
    adaptive = replace(edge(), adaptive_concurrency=bound)
    calls = ir.Split(shares=(ir.Share(upstream="shop/a", weight=1),), grpc=True)
    socket = ir.AdapterDispatch(protocol="WebSocket")
    for destination, exempt in ((calls, True), (socket, True), (replace(calls, grpc=False), False)):
        lasting = entry("lasting", destination=destination)
        configs = emit_entry(lasting, replace(setting_of(lasting), edge=adaptive)).typed_per_filter_config
        assert (CONCURRENCY in configs) is exempt
        assert CONCURRENCY not in emit_entry(lasting, setting_of(lasting)).typed_per_filter_config


def test_only_what_speaks_grpc_and_what_stands_in_for_tenants_take_grpc_web() -> None:
    web = replace(edge(), grpc_web=True)
    calls = ir.Split(shares=(ir.Share(upstream="shop/a", weight=1),), grpc=True)
    adapters = [ir.AdapterDispatch(protocol=protocol) for protocol in ("GRPC", "GraphQL")]
    kinds = zip((calls, adapters[0], replace(calls, grpc=False), adapters[1]), (True, True, False, False), strict=True)
    for destination, served in kinds:
        made = entry("call", destination=destination)
        assert (GRPC_WEB in emit_entry(made, replace(setting_of(made), edge=web)).typed_per_filter_config) is not served
        assert GRPC_WEB not in emit_entry(made, setting_of(made)).typed_per_filter_config
    gate = entry("gate", gate=True, destination=ir.Respond(status=404))
    assert GRPC_WEB not in emit_entry(gate, replace(setting_of(gate), edge=web)).typed_per_filter_config


def test_json_that_becomes_a_call_is_held_and_bounded_and_no_call_itself() -> None:
    calls = ir.Split(shares=(ir.Share(upstream="shop/a", weight=1),), grpc=True)
    said = ir.Transcoding(schema="shop/s", version="1", descriptors=b"", services=("a.B",), max_bytes=99)
    json_ = entry("json", destination=calls, transcoding=said, admission=ir.Admission(max_body_bytes=100))
    configs = emit_entry(json_, setting_of(json_)).typed_per_filter_config
    assert buffer_pb2.BufferPerRoute.FromString(configs[BODY].value).buffer.max_request_bytes.value == 99
    config = transcoder_pb2.GrpcJsonTranscoder.FromString(configs[TRANSCODER].value)
    assert (config.match_incoming_request_route, config.max_request_body_size.value) == (True, 99)
    assert list(not_admitted(json_)) == [BODY_TOO_LARGE, CONTENT_TYPE_REFUSED]
    plain = replace(json_, transcoding=None)
    assert {BODY, TRANSCODER}.isdisjoint(emit_entry(plain, setting_of(plain)).typed_per_filter_config)


def test_a_split_of_one_is_no_split() -> None:
    route = route_components_pb2.Route()
    emit_split(ir.Split(shares=(ir.Share(upstream="shop/a", weight=1),)), route)
    assert route.route.cluster == "shop/a"


def test_a_retry_asks_another_endpoint_and_waits_longer_each_time() -> None:
    made = emit_retry(ir.Retry(attempts=2, on=("5xx", "reset"), backoff_ms=20, per_try_timeout_ms=1500))
    assert [each.name for each in made.retry_host_predicate] == ["envoy.retry_host_predicates.previous_hosts"]
    assert made.host_selection_retry_max_attempts == 3
    assert (made.retry_on, made.num_retries.value) == ("5xx,reset", 2)
    assert made.retry_back_off.base_interval.ToMilliseconds() == 20
    assert made.retry_back_off.max_interval.ToMilliseconds() == 200
    assert made.per_try_timeout.ToMilliseconds() == 1500
    assert not emit_retry(ir.Retry(attempts=1, on=("5xx",))).HasField("per_try_timeout")


def test_an_entry_that_needs_the_hop_tells_the_name_of_its_plan() -> None:
    for asked in (True, False):
        each = entry("a", hop=asked)
        fields = emit_entry(each, setting_of(each)).metadata.filter_metadata[METADATA].fields
        plan = plan_name(each, setting_of(each).table)
        assert (fields["plan"].string_value if "plan" in fields else None) == (plan if asked else None)


def test_a_try_of_a_decision_may_take_three_tenths_of_the_whole_time() -> None:
    assert retries(1000).retry_back_off.max_interval.ToMilliseconds() == 300
    assert retries(10).retry_back_off.max_interval == retries(10).retry_back_off.base_interval


@pytest.mark.parametrize(("protocol", "codec"), [("HTTP1", 0), ("HTTP2", 1), ("GRPC", 1)])
def test_a_health_check_speaks_the_upstreams_protocol(protocol: str, codec: int) -> None:
    check = ir.HealthCheck(
        type="HTTP", path="/up", interval_ms=2000, timeout_ms=500, unhealthy_threshold=3, healthy_threshold=2
    )
    made = emit_health_check(upstream("shop/a", protocol=protocol), check)
    assert (made.http_health_check.codec_client_type, made.http_health_check.path) == (codec, "/up")
    assert (made.http_health_check.host, made.interval.ToMilliseconds()) == ("a.shop", 2000)


@pytest.mark.parametrize(("status", "told"), [(403, 403), (0, "%RESPONSE_CODE%")])
def test_a_refusal_is_a_problem_document_with_its_reason(status: int, told: object) -> None:
    route = route_components_pb2.Route()
    emit_refusal(route, Refusal("admission/address-denied", status, "Not from here"))
    answer = route.direct_response.body_format
    assert answer.content_type == "application/problem+json"
    assert json_format.MessageToDict(answer.json_format) == {
        "type": "about:blank",
        "title": "Not from here",
        "status": told,
        "stage": "admission",
        "reason": "address-denied",
        "requestId": "%REQ(X-REQUEST-ID)%",
    }
    (header,) = route.response_headers_to_add
    assert (header.header.key, header.header.value) == (REASON_HEADER, "admission/address-denied")


def test_headers_are_changed_on_the_way_there_and_back() -> None:
    there = ir.HeaderChanges(remove=("a", "host"), set=(("b", "1"),), add=(("c", "2"),))
    back = ir.HeaderChanges(remove=("d", "host"), set=(("e", "3"),), add=(("f", "4"),))
    each = entry("a", to="shop/a", request_headers=there, response_headers=back)
    made = emit_entry(each, setting_of(each))
    assert (list(made.request_headers_to_remove), list(made.response_headers_to_remove)) == (
        ["a"],
        ["x-ff-reason", "d", "host"],
    )
    assert [(o.header.key, o.header.value) for o in made.request_headers_to_add] == [("b", "1"), ("c", "2")]
    assert [(o.header.key, o.header.value) for o in made.response_headers_to_add] == [("e", "3"), ("f", "4")]


def test_only_where_browsers_log_in_answers_set_cookies_and_a_decision_may_take_long() -> None:
    login = ir.OidcLogin(
        issuer="https://login",
        client_id="shop",
        keyset="keys",
        tenant_claim="tenant",
        roles_claim="roles",
        permissions_claim="permissions",
        authorization_url="https://login/authorize",
        end_session_url="",
        scope="openid",
        origin="",
        redirect_path="/back",
        logout_path="/out",
        session_s=60,
    )
    provider = ir.Provider(name="shop/staff/login", policy="shop/staff", kind=login)
    auths = {"staff": ir.Auth(name="staff", mode=ir.Mode.REQUIRED, providers=(provider,))}
    held = ir.Body(schema=ir.SchemaRef(schema="shop/order", version="1"), max_bytes=9)
    for guarded, body in ((True, None), (True, held), (False, None)):
        each = entry("a", hop=True, auth="staff" if guarded else "", body=body)
        made = emit_entry(each, replace(setting_of(each), auths=auths)).typed_per_filter_config[CLOSED_FILTER]
        asked = ext_authz_pb2.ExtAuthzPerRoute()
        made.Unpack(asked)
        settings = asked.check_settings
        assert settings.HasField("http_service") is guarded
        assert settings.HasField("with_request_body") is (body is not None)
        if guarded:
            answer = settings.http_service.authorization_response
            told = {pattern.exact for pattern in answer.allowed_client_headers.patterns}
            written = {pattern.exact for pattern in answer.allowed_upstream_headers.patterns}
            assert {"location", "set-cookie"} <= told
            assert "cookie" in written
            assert not {"location", "set-cookie"} & {
                pattern.exact for pattern in answer.allowed_client_headers_on_success.patterns
            }
            back_off = settings.http_service.retry_policy.retry_back_off
            assert settings.http_service.server_uri.timeout.ToMilliseconds() > 5000
            assert back_off.max_interval.ToMilliseconds() > 5000, "no second service is asked meanwhile"
