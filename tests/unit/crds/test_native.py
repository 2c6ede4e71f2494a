"""Objects of other groups, from Secret to ReferenceGrant: the part of them that means something here."""

from __future__ import annotations

import fastforward_crds as crds
import pytest

META = {"name": "a", "namespace": "shop"}


def secret(**fields: object) -> crds.Resource | crds.Invalid:
    return crds.parse_resource({"apiVersion": "v1", "kind": "Secret", "metadata": META, **fields})


def test_a_secret_gives_bytes_and_its_text_wins() -> None:
    parsed = secret(data={"a": "aGVsbG8=", "b": "AAE="}, stringData={"a": "text"}, immutable=True)
    assert isinstance(parsed, crds.Secret)
    assert [parsed.value(key) for key in ("a", "b", "c")] == [b"text", b"\x00\x01", None]
    assert parsed.type == "Opaque"


def test_a_secret_shows_no_value() -> None:
    assert "hunter" not in repr(secret(stringData={"a": "hunter"}))


@pytest.mark.parametrize("data", ["hunter", {"key": "hunter!"}, {"key": ["hunter"]}, {"key": "hunterä"}])
def test_a_broken_secret_is_told_without_its_value(data: object) -> None:
    parsed = secret(data=data)
    assert isinstance(parsed, crds.Invalid)
    assert "hunter" not in repr(parsed)


def test_a_value_that_is_not_base64_is_told_with_its_key() -> None:
    parsed = secret(data={"key": "a"})
    assert isinstance(parsed, crds.Invalid)
    assert parsed.errors == (crds.FieldError(field="data", message="The value of key key is not base64."),)


def test_a_config_map_gives_bytes() -> None:
    parsed = crds.parse_resource({"apiVersion": "v1", "kind": "ConfigMap", "metadata": META, "data": {"a": "ä"}})
    assert isinstance(parsed, crds.ConfigMap)
    assert [parsed.value(key) for key in ("a", "b")] == ["ä".encode(), None]


def test_a_config_map_may_hold_what_is_no_text() -> None:
    written = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": META, "data": {"a": "text"}}
    parsed = crds.parse_resource({**written, "binaryData": {"b": "/wA="}})
    assert isinstance(parsed, crds.ConfigMap)
    assert [parsed.value(key) for key in ("a", "b")] == [b"text", b"\xff\x00"]
    refused = crds.parse_resource({**written, "binaryData": {"b": "no base64!"}})
    assert isinstance(refused, crds.Invalid)
    assert refused.errors[0].field == "binaryData"


@pytest.mark.parametrize("version", ["v1beta1", "v1"])
def test_a_reference_grant_is_read(version: str) -> None:
    spec = {
        "from": [{"group": crds.GROUP, "kind": "Route", "namespace": "shop"}],
        "to": [{"group": crds.GROUP, "kind": "Upstream"}, {"group": "", "kind": "Secret", "name": "a"}],
    }
    written = {"apiVersion": f"gateway.networking.k8s.io/{version}", "kind": "ReferenceGrant"}
    parsed = crds.parse_resource({**written, "metadata": META, "spec": spec})
    assert isinstance(parsed, crds.ReferenceGrant)
    assert parsed.spec.from_[0].namespace == "shop"
    assert [each.name for each in parsed.spec.to] == [None, "a"]


def test_the_text_of_a_secret_stays_as_it_is_and_unknown_fields_are_no_mistake() -> None:
    parsed = secret(stringData={"a": " text "}, immutable=True)
    assert isinstance(parsed, crds.Secret)
    assert parsed.value("a") == b" text "


def test_a_namespace_belongs_to_none_and_has_labels() -> None:
    metadata = {"name": "shop", "labels": {"tier": "front"}}
    parsed = crds.parse_resource({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    assert isinstance(parsed, crds.Namespace)
    assert (parsed.metadata.namespace, parsed.metadata.labels) == ("", {"tier": "front"})
    broken = crds.parse_resource({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "Shop"}})
    assert isinstance(broken, crds.Invalid)
    assert broken.namespace == ""


def test_a_service_is_read_as_an_api_server_tells_it() -> None:
    spec = {"clusterIP": "10.0.0.1", "ports": [{"name": "http", "port": 80, "targetPort": "web", "protocol": "TCP"}]}
    parsed = crds.parse_resource({"apiVersion": "v1", "kind": "Service", "metadata": META, "spec": spec, "status": {}})
    assert isinstance(parsed, crds.Service)
    assert parsed.spec.ports == (crds.ServicePort(name="http", port=80),)


def test_an_endpoint_slice_is_read_with_what_is_null_in_it() -> None:
    metadata = {**META, "labels": {"kubernetes.io/service-name": "books"}}
    endpoint = {"addresses": ["192.0.2.1"], "conditions": {"ready": None, "serving": True, "terminating": None}}
    head = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata, "addressType": "IPv4"}
    parsed = crds.parse_resource(
        {**head, "endpoints": [endpoint], "ports": [{"name": "", "port": 80, "protocol": "TCP"}]}
    )
    assert isinstance(parsed, crds.EndpointSlice)
    assert parsed.service == "shop/books"
    assert parsed.endpoints[0].conditions.ready
    empty = crds.parse_resource({**head, "metadata": META, "endpoints": None, "ports": None})
    assert isinstance(empty, crds.EndpointSlice)
    assert (empty.service, empty.endpoints, empty.ports) == ("", (), ())
