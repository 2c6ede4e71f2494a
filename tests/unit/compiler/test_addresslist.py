"""Address lists in the compiler: what is made of ConfigMaps, for whom, and what a change costs."""

from __future__ import annotations

import base64
import gzip

import fastforward_crds as crds
import pytest
from fastforward_compiler import Compiler, ir, object_ref
from fastforward_compiler.problem import Problem, Reason
from fastforward_compiler.translate import addresslist

from support import resources
from support.resources import Document, reference_grant, route, rule

from .conftest import Bench

EDGE = "default/public"
PACKED = gzip.compress(b"10.0.0.1")


def edge(*keys: str, **spec: object) -> Document:
    """An Edge with a list of each name, in the key of that name; and countries."""
    lists = [{"name": key, "configMaps": [{"name": "lists", "key": key}]} for key in keys]
    countries = {"configMaps": [{"name": "lists", "key": "countries"}]}
    return resources.edge(80, addressLists=lists, countries=countries, **spec)  # ty: ignore[invalid-argument-type]


def asking(name: str = "books", **admission: object) -> Document:
    return route(name, rule(says="x"), admission=admission)


def data(**keys: str) -> Document:
    return resources.config_map("lists", {"countries": "", **keys})


def lists(bench: Bench) -> dict[str, ir.AddressList]:
    return {each.name: each for each in bench.compiler.snapshot().addresslists}


def test_only_what_somebody_asks_for_is_made(bench: Bench) -> None:
    bench.apply(edge("bots", "more"), data(bots="10.0.0.1", more="10.0.0.2", countries="10.0.0.3,DE\n10.0.0.4,FR"))
    assert lists(bench) == {}
    bench.apply(asking(denyLists=["bots"], allowCountries=["DE"]))
    assert {name: each.spans()[0] for name, each in lists(bench).items()} == {
        f"{EDGE}|bots": [(0x0A000001, 0x0A000001)],
        f"{EDGE}|DE": [(0x0A000003, 0x0A000003)],
    }
    bench.delete("Route", "books")
    assert lists(bench) == {}


def test_a_changed_list_changes_nothing_else(bench: Bench) -> None:
    bench.apply(edge("bots"), data(bots="10.0.0.1"), *(asking(f"r{n}", denyLists=["bots"]) for n in range(5)))
    delta = bench.apply(data(bots="10.0.0.2"))
    changed = {noun for noun in ("edges", "scopes", "tables", "upstreams") if getattr(delta, noun) != ir.Changes()}
    assert (changed, [each.name for each in delta.addresslists.upserts]) == (set(), [f"{EDGE}|bots"])
    assert delta.translated == 0


def test_sources_are_put_together_and_may_be_compressed(bench: Bench) -> None:
    packed = base64.b64encode(gzip.compress(b"10.0.1.0/24")).decode()
    both = [{"name": "lists", "key": "bots"}, {"name": "packed", "key": "bots.gz"}]
    document = resources.edge(
        80, addressLists=[{"name": "bots", "configMaps": both}], admission={"denyLists": ["bots"]}
    )
    more = {**resources.config_map("packed", {}), "binaryData": {"bots.gz": packed}}
    bench.apply(document, data(bots="10.0.0.0/24"), more)
    assert lists(bench)[f"{EDGE}|bots"].spans() == ([(0x0A000000, 0x0A0001FF)], [])
    assert bench.reasons("Edge", "public") == []


@pytest.mark.parametrize(
    "value",
    [
        b"\xff\xfe",
        gzip.compress(b"10.0.0.1")[:-4],
        gzip.compress(b"\xff"),
        gzip.compress(b"10.0.0.1") + b"x",
        b"\x1f\x8bx",
    ],
    ids=["no text", "cut off", "no text inside", "more behind", "no gzip"],
)
def test_what_is_no_text_is_lost(bench: Bench, value: bytes) -> None:
    document = {**resources.config_map("lists", {}), "binaryData": {"bots": base64.b64encode(value).decode()}}
    bench.apply(edge("bots"), document, asking(denyLists=["bots"]))
    assert lists(bench)[f"{EDGE}|bots"] == ir.AddressList(name=f"{EDGE}|bots", lost=True)
    assert Reason.SECRET_INVALID in bench.reasons("Edge", "public")
    assert bench.reasons("Route", "books") == [Reason.ADDRESS_LIST_NOT_FOUND]


def test_a_small_value_that_hides_a_large_one_is_lost(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresslist, "_MAX_BYTES", 1000)
    packed = base64.b64encode(gzip.compress(b"10.0.0.1\n" * 1000)).decode()
    bench.apply(
        edge("bots"), {**resources.config_map("lists", {}), "binaryData": {"bots": packed}}, asking(denyLists=["bots"])
    )
    assert lists(bench)[f"{EDGE}|bots"].lost


def test_a_list_that_no_proxy_could_hold_is_lost(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresslist, "_MAX_NETWORKS", 2)
    bench.apply(edge("bots"), data(bots="10.0.0.1\n10.0.0.3\n10.0.0.5"), asking(denyLists=["bots"]))
    assert lists(bench)[f"{EDGE}|bots"].lost
    bench.apply(data(bots="10.0.0.0\n10.0.0.1\n10.0.0.5"))
    assert not lists(bench)[f"{EDGE}|bots"].lost


def test_many_bad_lines_are_told_in_few_words(bench: Bench) -> None:
    bench.apply(edge("bots"), data(bots="x\n" * 100 + "10.0.0.1"), asking(denyLists=["bots"]))
    messages = [found.message for found in bench.report("Edge", "public").problems]
    assert len(messages) == 17
    assert "84 further lines of key bots of ConfigMap default/lists are left out." in messages
    assert lists(bench)[f"{EDGE}|bots"].four


def test_a_list_of_another_namespace_needs_a_grant(bench: Bench) -> None:
    ref = {"name": "lists", "namespace": "other", "key": "bots"}
    document = resources.edge(
        80, addressLists=[{"name": "bots", "configMaps": [ref]}], admission={"denyLists": ["bots"]}
    )
    bench.apply(document, resources.config_map("lists", {"bots": "10.0.0.1"}, namespace="other"))
    assert set(bench.reasons("Edge", "public")) == {Reason.REF_NOT_PERMITTED, Reason.ADDRESS_LIST_NOT_FOUND}
    assert lists(bench)[f"{EDGE}|bots"].lost
    bench.apply(reference_grant("edges", "other", from_kind="Edge", from_namespace="default", to_kind="ConfigMap"))
    assert (bench.reasons("Edge", "public"), lists(bench)[f"{EDGE}|bots"].lost) == ([], False)


def test_a_country_that_is_none_is_refused_by_name(bench: Bench) -> None:
    bench.apply(edge("bots"), data(), asking(denyCountries=["DE", "UK"]))
    (found,) = bench.report("Route", "books").problems
    assert (found.reason, found.field) == (Reason.INVALID, "spec.admission.denyCountries[1]")
    assert found.message == "UK is no country of ISO 3166-1."


def test_a_country_without_networks_is_told_and_closes_nothing(bench: Bench) -> None:
    bench.apply(edge(), data(countries="10.0.0.0/8,DE"), asking(denyCountries=["BV"]))
    assert bench.reasons("Route", "books") == [Reason.ADDRESS_LIST_NOT_FOUND]
    assert lists(bench)[f"{EDGE}|BV"] == ir.AddressList(name=f"{EDGE}|BV")


def test_a_trial_of_an_edge_tells_of_its_lists(bench: Bench) -> None:
    bench.apply(edge("bots"), data(bots="10.0.0.1"))
    tried = crds.parse_resource({**edge("bots", admission={"denyLists": ["nowhere"]})})
    judged = bench.compiler.judge(object_ref(tried), tried)
    assert [found.field for found in judged.problems] == ["spec.admission.denyLists[0]"]


def test_a_list_of_one_edge_is_none_of_another() -> None:
    compiler = Compiler()
    both = [{"name": "public"}, {"name": "other"}]
    spec = {"edges": both, "rules": [rule(says="x")], "admission": {"denyLists": ["bots"]}}
    documents = [
        edge("bots"),
        resources.edge(81, name="other", hosts=["other.example"]),
        resources.resource("Route", "books", spec),
        data(bots="10.0.0.1"),
    ]
    objects = [crds.parse_resource(each) for each in documents]
    compiler.apply({object_ref(each): each for each in objects})
    assert {each.name: each.lost for each in compiler.snapshot().addresslists} == {
        "default/public|bots": False,
        "default/other|bots": True,
    }


def surplus(bench: Bench, kind: str, name: str) -> list[Problem]:
    return [each for each in bench.report(kind, name).problems if each.reason == Reason.ADDRESS_LIST_NOT_FOUND]


def test_of_more_than_proxies_hold_the_largest_list_is_lost_and_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresslist, "_MOST_OF_EDGE", 3)
    monkeypatch.setattr(addresslist, "_SURELY_FEW", 3)
    large = "10.0.1.1\n10.0.1.3\n10.0.1.5"
    both = [asking("a", denyLists=["small"]), asking("b", denyLists=["large"])]
    bench.apply(edge("small", "large"), data(small="10.0.0.1\n10.0.0.3", large=large), *both)
    assert {name.rpartition("|")[2]: each.lost for name, each in lists(bench).items()} == {
        "small": False,
        "large": True,
    }
    told = (
        "The address list large of Edge default/public has 3 of 5 networks that its admissions ask for, and may ask "
        "for 3: it lets nobody in and keeps everybody out."
    )
    for kind, name, field in (
        ("Edge", "public", "spec.addressLists[1]"),
        ("Route", "b", "spec.admission.denyLists[0]"),
    ):
        assert (field, told) in [(found.field, found.message) for found in surplus(bench, kind, name)]
    assert surplus(bench, "Route", "a") == []
    # Nobody asks for it any more.
    bench.delete("Route", "b")
    assert surplus(bench, "Edge", "public") == []
    bench.apply(asking("b", denyLists=["large"]))
    assert len(surplus(bench, "Route", "b")) == 1
    delta = bench.apply(data(small="10.0.0.1", large="10.0.1.0/24\n10.0.3.1"))
    assert surplus(bench, "Edge", "public") + surplus(bench, "Route", "b") == []
    assert not any(each.lost for each in lists(bench).values())
    assert delta.tables == ir.Changes()


def test_lists_that_cut_each_other_count_in_pieces(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresslist, "_MOST_OF_EDGE", 4)
    monkeypatch.setattr(addresslist, "_SURELY_FEW", 1)
    asked = asking(denyLists=["wide", "one"], allowCountries=["DE"])
    bench.apply(edge("wide", "one"), data(wide="10.0.0.0/24", one="10.0.0.7", countries="10.9.0.0/16,DE"), asked)
    assert {name.rpartition("|")[2] for name, each in lists(bench).items() if each.lost} != set()
