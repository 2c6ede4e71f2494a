"""A match may ask for the API version that the request names in a header, or leaves to the Edge's default."""

from support.gateway import Gateway
from support.resources import edge, prefix, route, rule


def versions(gateway: Gateway, *versions: str) -> None:
    gateway.apply(route("api", *(rule(prefix("/", apiVersion=version), says=version) for version in versions)))


def test_the_header_picks_the_version(gateway: Gateway) -> None:
    versions(gateway, "v1", "v2")
    assert gateway.get(headers={"x-api-version": "v1"}).body == "v1"
    assert gateway.get(headers={"X-Api-Version": "v2"}).body == "v2"
    for other in ("v3", "V1", "", "v1,v2"):
        assert gateway.get(headers={"x-api-version": other}).status == 404, other
    assert gateway.get().status == 404


def test_silence_means_the_default_version(gateway: Gateway) -> None:
    gateway.apply(edge(gateway.port, apiVersions={"default": "v1"}))
    versions(gateway, "v1", "v2")
    assert gateway.get().body == "v1"
    assert gateway.get(headers={"x-api-version": "v2"}).body == "v2"
    assert gateway.get(headers={"x-api-version": "v3"}).status == 404


def test_the_edge_may_name_another_header(gateway: Gateway) -> None:
    gateway.apply(edge(gateway.port, apiVersions={"header": "Accept-Version"}))
    versions(gateway, "v2")
    assert gateway.get(headers={"accept-version": "v2"}).body == "v2"
    assert gateway.get(headers={"x-api-version": "v2"}).status == 404


def test_another_default_moves_requests_that_name_no_version(gateway: Gateway) -> None:
    gateway.apply(edge(gateway.port, apiVersions={"default": "v1"}))
    versions(gateway, "v1", "v2")
    assert gateway.get().body == "v1"
    gateway.apply(edge(gateway.port, apiVersions={"default": "v2"}))
    assert gateway.get().body == "v2"


def test_a_rule_without_a_version_takes_every_version_that_has_none_of_its_own(gateway: Gateway) -> None:
    gateway.apply(route("api", rule(prefix("/", apiVersion="v2"), says="v2"), rule(prefix("/"), says="any")))
    assert gateway.get(headers={"x-api-version": "v2"}).body == "v2"
    assert gateway.get(headers={"x-api-version": "v1"}).body == "any"
    assert gateway.get().body == "any"


def test_an_edge_is_programmed_only_with_the_tables_that_its_change_alters(gateway: Gateway) -> None:
    gateway.apply(edge(gateway.port, apiVersions={"default": "v1"}))
    versions(gateway, "v1", "v2")
    for default in ("v2", "v1") * 10:
        gateway.apply(edge(gateway.port, apiVersions={"default": default}))
        assert gateway.get().body == default
