"""Sessions as proxies are told of them: marks of endpoints, and what is written where there is none."""

from __future__ import annotations

import pytest
from fastforward_compiler import ir
from fastforward_compiler.emit.envoy.protos import endpoint_components_pb2, route_components_pb2
from fastforward_compiler.emit.envoy.session import emit_mark, emit_told

POD = "5f2c1a0e-3f0a-4c57-9d53-8a3a4f6f8c11"


def mark(**endpoint: str) -> str:
    made = endpoint_components_pb2.LbEndpoint()
    emit_mark(ir.Endpoint(**{"address": "10.0.0.7", "port": 80, **endpoint}), made)  # ty: ignore[invalid-argument-type]
    return made.metadata.filter_metadata["envoy.lb"]["ff-session"]


def test_the_mark_of_a_pod_is_made_of_nothing_that_can_be_guessed() -> None:
    assert mark(uid=POD) == mark(uid=POD, address="10.0.0.8")
    assert mark(uid=POD) != mark(uid=POD.replace("5f", "6f"))


def test_other_endpoints_are_told_apart_by_their_addresses() -> None:
    assert len({mark(), mark(address="10.0.0.8"), mark(uid=POD)}) == 3


def test_marks_are_what_the_script_takes() -> None:
    assert len(mark()) == 16
    assert int(mark(), 16) >= 0


@pytest.mark.parametrize(
    ("session", "names"),
    [
        (None, []),
        (ir.Session(header="x-a"), ["x-a"]),
        (ir.Session(cookie="a", path="/", same_site="Lax"), ["set-cookie"]),
    ],
)
def test_answers_say_it_by_one_header_that_is_left_out_when_empty(session: ir.Session | None, names: list[str]) -> None:
    route = route_components_pb2.Route()
    emit_told(session, route)
    assert [option.header.key for option in route.response_headers_to_add] == names
    assert not any(option.keep_empty_value for option in route.response_headers_to_add)
