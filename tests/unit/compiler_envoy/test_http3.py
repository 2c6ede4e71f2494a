"""The listener of QUIC beside one of TLS."""

from __future__ import annotations

from fastforward_compiler import ir
from fastforward_compiler.emit.envoy import EmitSettings, EnvoyEmitter
from fastforward_compiler.emit.envoy.chain import http_filters
from fastforward_compiler.emit.envoy.edge import emit_http3, emit_listener
from fastforward_compiler.emit.envoy.emitter import edge_outputs
from fastforward_compiler.emit.envoy.protos import EnvoyMessage, http_connection_manager_pb2, quic_transport_pb2
from fastforward_compiler.emit.envoy.resource import LISTENER

from support.credentials import certificate_pem, private_key_pem
from support.envoy_validate import validate
from support.ir_values import EDGE, delta, edge

SETTINGS = EmitSettings(bind_address="127.0.0.1,127.0.0.2", ports={8443: 1443})
MANAGER = http_connection_manager_pb2.HttpConnectionManager


def secure(*, http3: bool = True) -> ir.Listener:
    certificate = ir.Certificate(
        name="shop/tls",
        hosts=("a.test",),
        chain=certificate_pem("a.test").encode(),
        key=private_key_pem("a.test").encode(),
    )
    return ir.Listener(name="https", port=8443, certificates=(certificate,), http3=http3)


def manager_of(listener: EnvoyMessage) -> EnvoyMessage:
    return MANAGER.FromString(listener.filter_chains[0].filters[-1].typed_config.value)


def test_it_binds_the_same_addresses_by_udp_and_takes_nothing_early() -> None:
    made = emit_http3(edge(), secure(), SETTINGS)
    sockets = [made.address, *(each.address for each in made.additional_addresses)]
    assert [(each.socket_address.address, each.socket_address.port_value) for each in sockets] == [
        ("127.0.0.1", 1443),
        ("127.0.0.2", 1443),
    ]
    assert {each.socket_address.protocol for each in sockets} == {1}
    [chain] = made.filter_chains
    socket = quic_transport_pb2.QuicDownstreamTransport.FromString(chain.transport_socket.typed_config.value)
    assert socket.HasField("enable_early_data")
    assert not socket.enable_early_data.value
    assert list(socket.downstream_tls_context.common_tls_context.alpn_protocols) == ["h3"]


def test_both_have_the_same_filters_and_say_the_port_that_is_bound() -> None:
    tcp = manager_of(emit_listener(edge(), secure(), SETTINGS))
    quic = manager_of(emit_http3(edge(), secure(), SETTINGS))
    assert list(tcp.http_filters) == list(quic.http_filters)
    assert [each.name for each in tcp.http_filters if "alt" in each.name] == ["alt-svc"]
    assert b':1443"' in next(each for each in tcp.http_filters if each.name == "alt-svc").typed_config.value
    assert (tcp.codec_type, quic.codec_type) == (MANAGER.AUTO, MANAGER.HTTP3)
    assert quic.early_header_mutation_extensions == tcp.early_header_mutation_extensions
    without = manager_of(emit_listener(edge(), secure(http3=False), SETTINGS))
    assert [each.name for each in without.http_filters] == [each.name for each in http_filters(500)]


def test_an_edge_is_in_force_when_both_are_and_envoy_takes_them() -> None:
    both = edge(listeners=(secure(),))
    names = [name for type_url, name in edge_outputs(both) if type_url == LISTENER]
    assert names == [f"{EDGE}/https", f"{EDGE}/https~http3"]
    emitter = EnvoyEmitter(EmitSettings())
    step = emitter.apply(delta(edges=(both,)))
    assert set(names) <= {name for _, name in step.outputs["edge", EDGE]}
    assert validate(step.upserts) == ""
    gone = emitter.apply(delta(edges=(edge(listeners=(secure(http3=False),)),)))
    assert (LISTENER, f"{EDGE}/https~http3") in gone.removed
