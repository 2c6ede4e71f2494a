"""Decisions that ask others get more time, and routes write what these tell, from what no client can write."""

from __future__ import annotations

from fastforward_compiler import ir
from fastforward_compiler.emit.envoy.chain import http_service
from fastforward_compiler.emit.envoy.external import extra_ms, patient_service, write_told
from fastforward_compiler.emit.envoy.protos import route_components_pb2


def asking(policy: str, timeout_ms: int, *headers: str, shadow: bool = False) -> ir.Authorization:
    external = ir.External(
        upstream="shop/guard",
        path="/",
        append_path=True,
        request_headers=(),
        answer_headers=headers,
        timeout_ms=timeout_ms,
        fail_open=False,
    )
    return ir.Authorization(policy=policy, grants=(), shadow=shadow, external=external)


AUTH = ir.Auth(
    name="both",
    mode=ir.Mode.NONE,
    authorizations=(
        asking("a", 200, "x-user"),
        ir.Authorization(policy="grants", grants=(ir.Grant(name="g"),)),
        asking("b", 300, "x-group", "x-user", shadow=True),
    ),
)


def test_each_try_and_the_whole_take_as_much_longer_as_all_that_are_asked() -> None:
    assert (extra_ms(AUTH), extra_ms(None)) == (500, 0)
    usual, patient = http_service(1000), patient_service(1000, 500)
    assert (usual.server_uri.timeout.ToMilliseconds(), patient.server_uri.timeout.ToMilliseconds()) == (1000, 1500)
    tries = [each.retry_policy.retry_back_off.max_interval.ToMilliseconds() for each in (usual, patient)]
    assert tries == [300, 800]
    assert patient.authorization_response == usual.authorization_response
    assert patient.authorization_request == usual.authorization_request


def test_a_route_takes_the_clients_headers_and_writes_what_the_decision_has() -> None:
    route = route_components_pb2.Route(request_headers_to_remove=["x-user"])
    write_told(AUTH, route)
    assert list(route.request_headers_to_remove) == ["x-user", "x-group"]
    assert [(option.header.key, option.header.value) for option in route.request_headers_to_add] == [
        (name, f"%DYNAMIC_METADATA(envoy.filters.http.ext_authz:x-ff-told-{name})%") for name in ("x-group", "x-user")
    ]
    assert not any(option.keep_empty_value for option in route.request_headers_to_add)
