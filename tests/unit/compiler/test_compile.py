"""The life of an object: it comes, turns invalid, is mended, goes; and what is said of it meanwhile."""

from __future__ import annotations

import fastforward_crds as crds
import pytest
from fastforward_compiler import compile_world, ir
from fastforward_compiler.problem import ConditionType, ObjectRef

from support import resources
from support.resources import Document, on, prefix, resource, rule, upstream

from .conftest import Bench


def broken(kind: str, name: str, **spec: object) -> Document:
    return resource(kind, name, {"nonsense": 1, **spec}, generation=2)


def test_an_invalid_object_keeps_its_last_good_version_until_it_is_mended(bench: Bench) -> None:
    bench.apply(resources.edge(8080), resources.route("r", rule(says="good"), hosts="example.com"))
    before = bench.entries()
    delta = bench.apply(broken("Route", "r"))
    assert (delta.tables, delta.translated) == (ir.Changes(), 0)
    assert bench.entries() == before
    report = bench.report("Route", "r")
    assert (report.generation, report.problems[0].reason) == (2, "Invalid")
    assert ("table", "default/public|example.com#") in report.outputs
    bench.apply(resources.route("r", rule(says="mended"), hosts="example.com"))
    assert bench.reasons("Route", "r") == []
    assert bench.entries() != before


def test_an_invalid_object_that_goes_takes_its_last_good_version_along(bench: Bench) -> None:
    bench.apply(resources.edge(8080), resources.route("r", rule(says="good"), hosts="example.com"))
    bench.apply(broken("Route", "r"))
    bench.delete("Route", "r")
    assert bench.entries() == ()
    assert list(bench.compiler.reports()) == [ObjectRef(kind="Edge", namespace="default", name="public")]


def test_an_object_that_never_was_good_is_as_if_absent(bench: Bench) -> None:
    bench.apply(resources.edge(8080), resources.route("r", rule(to="u"), hosts="example.com"), broken("Upstream", "u"))
    assert bench.reasons("Upstream", "u") == ["Invalid"]
    assert bench.reasons("Route", "r") == ["UpstreamNotFound"]
    bench.apply(upstream("u", 80))
    assert bench.reasons("Route", "r") == []


def test_an_invalid_policy_closes_its_targets_until_it_is_good_or_gone(bench: Bench) -> None:
    bench.apply(resources.edge(8080), resources.route("r", rule(says="hi"), hosts="example.com"))
    bench.apply(broken("AuthPolicy", "p", targets=[on("Edge", "public")]))
    assert isinstance(bench.entries()[0].destination, ir.Unavailable)
    assert bench.report("Route", "r").effective == ("AuthPolicy default/p",)
    bench.apply(broken("AuthPolicy", "p", targets=[on("Route", "other")]))
    assert isinstance(bench.entries()[0].destination, ir.Respond)
    bench.apply(broken("AuthPolicy", "p", targets=[on("Edge", "public")]))
    bench.delete("AuthPolicy", "p")
    assert isinstance(bench.entries()[0].destination, ir.Respond)


def test_an_invalid_rate_limit_that_never_was_good_hinders_nobody(bench: Bench) -> None:
    bench.apply(resources.edge(8080), resources.route("r", rule(says="hi"), hosts="example.com"))
    bench.apply(broken("RateLimit", "l", targets=[on("Edge", "public")]))
    assert isinstance(bench.entries()[0].destination, ir.Respond)
    assert set(bench.reasons("RateLimit", "l")) == {"Invalid"}


def test_an_invalid_secret_is_reported_though_no_kind_of_ours(bench: Bench) -> None:
    bench.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "not base64!"}})
    assert bench.reasons("Secret", "s") == ["Invalid"]
    bench.apply(resources.secret("s", {}))
    assert bench.compiler.reports() == {}


def test_a_kind_that_nobody_knows_is_reported(bench: Bench) -> None:
    document = resource("Rout", "r", {})
    bench.apply(document)
    assert "Did you mean Route?" in bench.report("Rout", "r").problems[0].message
    bench.delete("Rout", "r")
    assert bench.compiler.reports() == {}


def test_a_document_without_a_name_is_reported(bench: Bench) -> None:
    bench.apply({"kind": "Route", "apiVersion": crds.API_VERSION})
    assert set(bench.reasons("Route", "")) == {"Invalid"}


def test_deleting_what_is_not_there_changes_nothing(bench: Bench) -> None:
    assert bench.delete("Route", "r") == ir.Delta()


def test_a_world_compiles_at_once_and_tells_every_problem() -> None:
    documents = [resources.edge(8080), resources.route("r", rule(to="missing")), broken("Upstream", "u")]
    snapshot, problems = compile_world(map(crds.parse_resource, documents))
    assert [edge.name for edge in snapshot.edges] == ["default/public"]
    assert sorted(problem.reason for problem in problems) == ["Invalid", "UpstreamNotFound"]


def test_of_two_objects_with_one_name_the_last_counts() -> None:
    documents = [upstream("u", 80), upstream("u", 81)]
    snapshot, _ = compile_world(map(crds.parse_resource, documents))
    assert [endpoint.port for endpoint in snapshot.upstreams[0].endpoints] == [81]


def test_fetched_documents_count_in_a_world() -> None:
    assert compile_world([], {"https://issuer/keys": b"{}"}) == (ir.Snapshot(), ())


def test_problems_are_bounded_and_the_worst_come_first(bench: Bench) -> None:
    rules = [rule(*(prefix(f"/{number}-{match}") for match in range(16)), to="missing") for number in range(64)]
    many = [{**one, "matches": [{**match, "tenants": ["t"]} for match in one["matches"]]} for one in rules]
    bench.apply(resources.edge(8080), resources.route("r", *many, hosts=("example.com", "other.org")))
    problems = bench.report("Route", "r").problems
    assert len(problems) == 100
    assert problems[0].reason == "HostNotOwned"


def test_broken_references_are_told_on_resolved_refs_and_the_rest_on_accepted(bench: Bench) -> None:
    bench.apply(resources.edge(8080), resources.route("r", rule(to="missing"), hosts="other.org"))
    accepted, resolved = bench.report("Route", "r").problems
    assert (accepted.reason, accepted.condition) == ("HostNotOwned", ConditionType.ACCEPTED)
    assert (resolved.reason, resolved.condition) == ("UpstreamNotFound", ConditionType.RESOLVED_REFS)


def test_networks_and_addresses_are_written_as_everybody_writes_them(bench: Bench) -> None:
    admission = {"allowAddresses": ["10.1.2.3/8", "192.0.2.1", "2001:DB8:0::/32"]}
    hops = {"addresses": ["192.0.2.77/24"]}
    endpoints = [{"address": "2001:0db8::0001", "port": 80}]
    bench.apply(resources.edge(8080, admission=admission, trustedHops=hops), upstream("u", endpoints=endpoints))
    bench.apply(resources.route("r", rule(says="hi"), hosts="example.com"))
    assert bench.entries()[0].edge_admission.allow_addresses == ("10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32")
    snapshot = bench.compiler.snapshot()
    assert snapshot.edges[0].trusted_addresses == ("192.0.2.0/24",)
    assert snapshot.upstreams[0].endpoints[0].address == "2001:db8::1"


def test_a_policy_whose_name_could_be_two_closes_all_the_same(bench: Bench) -> None:
    bench.apply(resources.edge(8080), resources.route("r", rule(says="hi"), hosts="example.com"))
    bench.apply(resource("AuthPolicy", "a+b", {"targets": [on("Edge", "public")]}))
    assert isinstance(bench.entries()[0].destination, ir.Unavailable)


@pytest.mark.parametrize("field", ["allowAddresses", "denyAddresses"])
def test_what_is_no_network_makes_a_route_or_an_edge_invalid(bench: Bench, field: str) -> None:
    admission = {field: ["10.0.0.0/8", "300.0.0.1"]}
    bench.apply(
        resources.edge(8080, admission=admission),
        resources.route("r", rule(says="hi"), hosts="example.com", admission=admission),
    )
    for kind, name in (("Edge", "public"), ("Route", "r")):
        (found,) = bench.report(kind, name).problems
        assert (found.field, found.message) == (
            f"spec.admission.{field}[1]",
            "300.0.0.1 is not an IP network.",
        )
