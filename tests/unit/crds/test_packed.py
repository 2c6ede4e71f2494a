"""A resource is the same after it was kept packed."""

from __future__ import annotations

import fastforward_crds as crds
import pytest
from fastforward_crds import gatewayapi, packed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.documents import documents
from support.golden import cases

KINDS = tuple(sorted(kind for api_version, kind in crds.INPUTS if api_version == crds.API_VERSION))


def again(resource: crds.Resource) -> crds.Resource:
    """What comes back once it is no longer remembered as it was."""
    kept = crds.pack(resource)
    packed._recent.clear()
    return kept.unpack()


def corpus() -> dict[str, crds.Resource]:
    """Every resource of the golden corpus, kinds of Kubernetes and of Gateway API among them."""
    found = {}
    for case in cases():
        for place, each in enumerate(case.objects()):
            if isinstance(each, crds.Resource):
                found[f"{case.name}[{place}]"] = each
    return found


def test_every_resource_of_the_corpus_comes_back_as_it_was() -> None:
    resources = corpus()
    assert {"Route", "Tenant", "Upstream", "Secret", "Service", "EndpointSlice", "HTTPRoute", "GRPCRoute"} <= {
        each.kind for each in resources.values()
    }
    lost = [name for name, each in resources.items() if again(each) != each]
    assert lost == []


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_whatever_a_document_holds_comes_back(kind: str, data: st.DataObject) -> None:
    resource = crds.parse_resource(data.draw(documents(kind)))
    if isinstance(resource, crds.Resource):
        assert again(resource) == resource


def test_equal_documents_are_equal_packed_and_others_are_not() -> None:
    one, same, other = (
        crds.parse_resource(
            {"apiVersion": crds.API_VERSION, "kind": "Tenant", "metadata": {"name": "a"}, "spec": {"hosts": hosts}}
        )
        for hosts in (["a.example"], ["a.example"], ["b.example"])
    )
    assert isinstance(one, crds.Tenant)
    assert isinstance(same, crds.Tenant)
    assert isinstance(other, crds.Tenant)
    assert crds.pack(one) == crds.pack(same) != crds.pack(other)


def test_the_last_few_are_not_made_again() -> None:
    first, *others = corpus().values()
    kept = crds.pack(first)
    assert kept.unpack() is first
    for each in others:
        crds.pack(each)
    made = kept.unpack()
    assert made == first
    assert made is not first, "others have taken its place"
    assert kept.unpack() is made


def test_nothing_of_a_secret_is_shown() -> None:
    secret = next(each for each in corpus().values() if each.kind == "Secret")
    assert repr(crds.pack(secret)) == "Packed(Secret)"


def test_kinds_of_gateway_api_keep_what_they_are() -> None:
    found = next(each for each in corpus().values() if isinstance(each, gatewayapi.HttpRoute))
    assert type(again(found)) is gatewayapi.HttpRoute
