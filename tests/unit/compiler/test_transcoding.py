"""Which methods of a Schema can be called by JSON; what the proxy would refuse is told before."""

from __future__ import annotations

import pytest
from fastforward_compiler.translate.document.httprule import Called, Fault, read_services
from google.protobuf import descriptor_pb2

from support.called_shop import DESCRIPTORS, SERVICE
from support.grpc_schemas import descriptors

SOURCE = """
syntax = "proto3";
package a;
import "google/api/annotations.proto";
import "google/api/httpbody.proto";
import "google/protobuf/wrappers.proto";
service Do { rpc It(Ask) returns (Told) { option (google.api.http) = { %s }; } }
message Ask {
  string id = 1;
  repeated string tags = 2;
  Inner inner = 3;
  map<string, string> pairs = 4;
  google.protobuf.StringValue wrapped = 5;
}
message Inner { int32 number = 1; }
message Told { string id = 1; google.api.HttpBody raw = 2; }
"""


def read(binding: str, *, all_methods: bool = False) -> Called | Fault:
    return read_services(descriptors(SOURCE % binding), ("a.Do",), all_methods=all_methods)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/a",
        "/a-b_c.d~e",
        "/a/{id}",
        "/{id}/{inner.number}",
        "/v1/{id=shelves/*/books/**}",
        "/v1/{id=**}:undelete",
        "/a/*/b",
        "/a/**",
        "/a:do",
        "/a/{wrapped}",
    ],
)
def test_what_a_path_may_be(path: str) -> None:
    assert isinstance(read(f'get: "{path}"'), Called)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "a",
        "/a/",
        "//a",
        "/a b",
        "/a?b",
        "/a#b",
        "/{id",
        "/{}",
        "/{id=}",
        "/{id=a/{tags}}",
        "/{id}x",
        "/a:b/c",
        "/{1}",
        "/:do",
        "/a/**/b",
        "/{id=**}/b",
        "/{id=a/**/b}",
    ],
)
def test_what_is_no_path_of_a_method(path: str) -> None:
    found = read(f'get: "{path}"')
    assert isinstance(found, Fault)
    assert "is no template of a path" in found.message


@pytest.mark.parametrize(
    ("binding", "told"),
    [
        ('get: "/a/{nope}"', "a.Ask has no field nope with a single value"),
        ('get: "/a/{tags}"', "no field tags with a single value"),
        ('get: "/a/{inner}"', "no field inner with a single value"),
        ('get: "/a/{inner.nope}"', "no field inner.nope"),
        ('get: "/a/{id.x}"', "no field id.x"),
        ('get: "/a/{pairs}"', "no field pairs"),
        ('post: "/a" body: "nope"', "a.Ask has no field nope for the body"),
        ('get: "/a" response_body: "id"', "response_body is no field of the type google.api.HttpBody"),
        ('get: "/a" response_body: "nope"', "response_body is no field"),
        ('get: "/a" additional_bindings { get: "b" }', "b is no template"),
        ('custom { kind: "FETCH" path: "b" }', "b is no template"),
        ("", "`allMethods` calls them by their names"),
    ],
)
def test_what_of_a_binding_can_not_be_done_is_told(binding: str, told: str) -> None:
    found = read(binding)
    assert isinstance(found, Fault)
    assert told in found.message


@pytest.mark.parametrize(
    "binding",
    [
        'post: "/a" body: "inner"',
        'post: "/a" body: "*"',
        'get: "/a" response_body: "raw"',
        'custom { kind: "X" path: "/a" }',
    ],
)
def test_what_can_be_done_is(binding: str) -> None:
    assert isinstance(read(binding), Called)


def test_methods_without_a_binding_are_called_where_the_rule_says_so() -> None:
    assert isinstance(read("", all_methods=True), Called)


def test_a_service_that_is_not_there_is_told_by_its_place() -> None:
    found = read_services(DESCRIPTORS, (SERVICE, "shop.v1.Nobody"), all_methods=False)
    assert found == Fault(1, "The schema has no service shop.v1.Nobody: there are shop.v1.Other, shop.v1.Shop.")


def test_without_names_all_services_are_called_that_the_schema_itself_defines() -> None:
    found = read_services(DESCRIPTORS, (), all_methods=False)
    assert isinstance(found, Called)
    assert found.services == ("shop.v1.Shop", "shop.v1.Other")
    empty = descriptors('syntax = "proto3"; package a; message Ask {}')
    assert read_services(empty, (), all_methods=True) == Fault(None, "The schema has no service.")


def test_files_come_after_those_that_they_import_once_and_without_comments() -> None:
    files = descriptor_pb2.FileDescriptorSet.FromString(DESCRIPTORS).file
    files[-1].source_code_info.location.add(leading_comments="of people")
    shuffled = descriptor_pb2.FileDescriptorSet(file=[*reversed(files), files[0]])
    found = read_services(shuffled.SerializeToString(), (SERVICE,), all_methods=False)
    assert isinstance(found, Called)
    made = descriptor_pb2.FileDescriptorSet.FromString(found.descriptors).file
    seen: set[str] = set()
    for file in made:
        assert set(file.dependency) <= seen
        assert file.name not in seen
        assert not file.HasField("source_code_info")
        seen.add(file.name)
    assert seen == {file.name for file in files}
