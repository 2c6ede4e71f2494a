"""Datagrams, asked of a real Envoy: shares by weight, sessions that stay together, sizes, a port that is two."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack
from typing import Any

import pytest
from fastforward_compiler import ir
from fastforward_compiler.emit.envoy.datagrams import emit_shares
from fastforward_compiler.emit.envoy.route import MISSING_CLUSTER
from google.protobuf import symbol_database
from hypothesis import given
from hypothesis import strategies as st

from support.datagrams import ask, ask_often, ask_once, datagram_client, datagram_origin
from support.ir_values import delta, edge, entry, scope, table, upstream
from support.processes import free_ports
from support.static_envoy import StaticEnvoy

Serve = Callable[..., StaticEnvoy]
MANY = 400
FEW = 5


@pytest.fixture(scope="module")
def origins() -> Generator[dict[str, int]]:
    with ExitStack() as running:
        yield {name: running.enter_context(datagram_origin(name)) for name in ("one", "two")}


def listening(port: int, **shares: int) -> ir.Listener:
    stream = ir.Stream(
        shares=tuple(
            ir.Share(upstream="" if name == "lost" else name, weight=weight) for name, weight in shares.items()
        )
    )
    return ir.Listener(name=f"udp-{port}", port=port, transport="UDP", stream=stream)


def unpacked(extension: Any) -> Any:  # noqa: ANN401 - Envoy's messages have no types
    packed = extension.typed_config
    message = symbol_database.Default().GetSymbol(packed.TypeName())()
    packed.Unpack(message)
    return message


@pytest.fixture(scope="module")
def ports(serve: Serve, origins: dict[str, int]) -> dict[str, int]:
    """By what listens there; `split` is the port of HTTP, too."""
    single, few, lost, nowhere = free_ports(4)

    def made(port: int) -> ir.Delta:
        listeners = (
            ir.Listener(name="http", port=port),
            listening(port, one=70, two=20, lost=10),
            listening(single, one=1),
            listening(few, few=1),
            listening(lost, lost=1),
            listening(nowhere),
        )
        upstreams = [upstream(name, port=origin, max_connections=10_000) for name, origin in origins.items()]
        upstreams.append(upstream("few", port=origins["one"], max_connections=FEW))
        return delta(
            edges=(edge(listeners=listeners),),
            scopes=(scope("a.test"),),
            tables=(table("a.test", entry("answered", "/")),),
            upstreams=tuple(upstreams),
        )

    envoy = serve(made)
    # A listener of connections comes up with those of datagrams or after them.
    assert envoy.ask("a.test", "/").status != 404
    return {"split": envoy.port, "single": single, "few": few, "lost": lost, "nowhere": nowhere}


def test_sessions_are_shared_by_weight_and_those_of_nobody_dropped(ports: dict[str, int]) -> None:
    counted = ask_often(ports["split"], MANY)
    assert counted["one"] == pytest.approx(0.7 * MANY, abs=50)
    assert counted["two"] == pytest.approx(0.2 * MANY, abs=40)
    assert counted[""] == pytest.approx(0.1 * MANY, abs=30)


def test_the_datagrams_of_a_session_stay_together(ports: dict[str, int]) -> None:
    told = set()
    for _ in range(20):
        with datagram_client(ports["split"]) as client:
            client.settimeout(0.3)
            try:
                names = {ask(client)[0] for _ in range(5)}
            except TimeoutError:
                continue
        assert len(names) == 1
        told |= names
    assert told <= {"one", "two"}
    assert "one" in told


def test_sessions_beyond_the_bound_are_dropped_and_the_others_go_on(ports: dict[str, int]) -> None:
    with datagram_client(ports["few"]) as client:
        assert ask(client)[0] == "one"
        assert ask_often(ports["few"], 2 * FEW) == {"one": FEW - 1, "": FEW + 1}
        assert ask(client)[0] == "one"


@pytest.mark.parametrize("size", [1, 1500, 9000, 60_000])
def test_a_datagram_goes_on_whole(ports: dict[str, int], size: int) -> None:
    data = bytes(range(1, 251)) * (size // 250 + 1)
    with datagram_client(ports["single"]) as client:
        assert ask(client, data[:size]) == ("one", data[:size])


@pytest.mark.parametrize("port", ["lost", "nowhere"])
def test_nobody_answers_where_there_is_no_upstream(ports: dict[str, int], port: str) -> None:
    assert ask_once(ports["single"]) == "one"
    assert ask_once(ports[port], wait=0.5) == ""


@given(st.lists(st.integers(1, 1_000_000), min_size=1, max_size=256))
def test_each_share_has_as_many_numbers_as_it_weighs(weights: list[int]) -> None:
    shares = tuple(ir.Share(upstream=f"shop/{n}", weight=weight) for n, weight in enumerate(weights))
    message = emit_shares(shares)
    left, found = sum(weights), []
    for matcher in message.matcher_list.matchers:
        predicate = matcher.predicate.single_predicate
        hashing = unpacked(predicate.custom_match)
        assert hashing.modulo == sum(weights) < 1 << 32
        found.append((unpacked(matcher.on_match.action).cluster, left - hashing.threshold))
        left = hashing.threshold
    found.append((unpacked(message.on_no_match.action).cluster, left))
    assert found == [(share.upstream, share.weight) for share in shares]


def test_without_shares_there_is_nowhere_to_go() -> None:
    assert unpacked(emit_shares(()).on_no_match.action).cluster == MISSING_CLUSTER
