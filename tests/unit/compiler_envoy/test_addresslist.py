"""The filter that looks clients up: its networks are the lists' ranges, and a real Envoy finds clients in them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fastforward_compiler import ir
from fastforward_compiler.emit.envoy import EmitSettings, EnvoyEmitter
from fastforward_compiler.emit.envoy.resource import EXTENSION
from fastforward_compiler.translate.networks import merge
from hypothesis import given
from hypothesis import strategies as st

from support.ir_values import EDGE, delta, edge, entry, scope, table
from support.static_envoy import StaticEnvoy

Serve = Callable[..., StaticEnvoy]
SPANS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda span: tuple(sorted(span))), max_size=4)
MAPPED = 0xFFFF << 32


@given(st.dictionaries(st.sampled_from("abc"), SPANS))
def test_every_address_has_the_names_of_all_lists_that_hold_it(lists: dict[str, list[tuple[int, int]]]) -> None:
    found: dict[int, str] = {}
    for (first, last), label in ir.label_spans([(name, list(merge(spans))) for name, spans in lists.items()]):
        for number in range(first, last + 1):
            assert number not in found
            found[number] = label
    for number in range(42):
        names = [name for name in "abc" if any(a <= number <= b for a, b in lists.get(name, []))]
        assert found.get(number, "") == "|".join(names)


@given(st.integers(0, 255), st.integers(0, 255))
def test_networks_make_up_a_range(one: int, other: int) -> None:
    first, last = sorted((one, other))
    made = [number + rest for number, length in ir.networks_of(first, last, 8) for rest in range(1 << (8 - length))]
    assert made == list(range(first, last + 1))
    assert all(number % (1 << (8 - length)) == 0 for number, length in ir.networks_of(first, last, 8))


@pytest.mark.parametrize(
    ("span", "rest"),
    [
        ((0, 5), [(0, 5)]),
        ((MAPPED, MAPPED + 7), []),
        ((0, (1 << 128) - 1), [(0, MAPPED - 1), (MAPPED + (1 << 32), (1 << 128) - 1)]),
        ((5, MAPPED), [(5, MAPPED - 1)]),
        ((MAPPED + 5, MAPPED + (1 << 32)), [(MAPPED + (1 << 32), MAPPED + (1 << 32))]),
    ],
)
def test_addresses_that_are_ipv4_ones_are_looked_up_as_such(span: ir.Span, rest: list[ir.Span]) -> None:
    assert list(ir.without_mapped(span)) == rest


def address_list(label: str, *spans: ir.Span, lost: bool = False) -> ir.AddressList:
    return ir.AddressList(name=f"{EDGE}|{label}", four=ir.packed_four(spans), lost=lost)


def names(emitter: EnvoyEmitter, step: ir.Delta) -> list[str]:
    return [name for kind, name in (made.id for made in emitter.apply(step).upserts) if kind == EXTENSION]


def test_a_changed_list_changes_one_filter_and_an_edge_that_goes_takes_it_along() -> None:
    emitter = EnvoyEmitter(EmitSettings())
    emitter.apply(delta(edges=(edge(has_lists=True),), addresslists=(address_list("bots", (1, 2)),)))
    assert names(emitter, delta(addresslists=(address_list("bots", (1, 3)),))) == [f"lists/{EDGE}"]
    assert names(emitter, delta(addresslists=(address_list("bots", (1, 3)),))) == []
    gone = emitter.apply(ir.Delta(addresslists=ir.Changes(removed=(f"{EDGE}|bots",)))).upserts
    assert [made.id for made in gone] == [(EXTENSION, f"lists/{EDGE}")]
    removed = emitter.apply(ir.Delta(edges=ir.Changes(removed=(EDGE,)))).removed
    assert (EXTENSION, f"lists/{EDGE}") in removed


def test_an_edge_without_lists_has_no_such_filter() -> None:
    emitter = EnvoyEmitter(EmitSettings())
    made = emitter.apply(delta(edges=(edge(),), addresslists=(address_list("bots", (1, 2)),)))
    assert f"lists/{EDGE}" not in [resource.name for resource in made.upserts]
    assert made.outputs["addresslist", f"{EDGE}|bots"] == ()


def asking(verb: str, name: str) -> ir.Admission:
    return ir.Admission(allow_lists=(name,)) if verb == "allow" else ir.Admission(deny_lists=(name,))


HERE = (0x7F000000, 0x7FFFFFFF)
ENTRIES = (
    *(
        entry(f"{verb}-{label}", f"/{verb}/{label}", admission=asking(verb, f"{EDGE}|{label}"))
        for verb in ("allow", "deny")
        for label in ("here", "there", "lost", "nowhere")
    ),
    entry("free", "/free"),
)


def serving_lists(serve: Serve, *, has_lists: bool) -> StaticEnvoy:
    lists = (address_list("here", HERE), address_list("there", (1, 5)), address_list("lost", lost=True))
    return serve(
        lambda port: delta(
            edges=(edge(port, has_lists=has_lists),),
            scopes=(scope("a"),),
            tables=(table("a", *ENTRIES),),
            addresslists=lists,
        )
    )


def statuses(envoy: StaticEnvoy, verb: str) -> list[int]:
    return [envoy.ask("a", f"/{verb}/{label}").status for label in ("here", "there", "lost", "nowhere")]


def test_envoy_finds_the_client_in_a_list(serve: Serve) -> None:
    envoy = serving_lists(serve, has_lists=True)
    assert statuses(envoy, "allow") == [200, 403, 403, 403]
    assert statuses(envoy, "deny") == [403, 200, 403, 200]


def test_where_nobody_looks_nobody_is_let_in(serve: Serve) -> None:
    envoy = serving_lists(serve, has_lists=False)
    assert statuses(envoy, "allow") == statuses(envoy, "deny") == [403] * 4
    assert envoy.ask("a", "/free").status == 200
