"""Methods of protobuf services as requests: which there are, and what of their `google.api.http` can't be done.

In: descriptors, names of services. Out: Called, or what is wrong. Called by translate/transcoding. Why it exists: the
proxy refuses a whole table for one binding that it can't read, and takes others that no request ever fits. Source:
"Path template syntax" in google/api/http.proto; what Envoy accepts was tried.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple

from google.api import annotations_pb2, http_pb2
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

ServiceProto = descriptor_pb2.ServiceDescriptorProto

_HTTP: Any = annotations_pb2.http
"""The option, by which its value is read."""
_BODY = "google.api.HttpBody"
_WELL_KNOWN = "google.protobuf."
_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"
_LITERAL = r"[^/{}*:?#\s]+"
_SEGMENT = rf"(?:\*\*|\*|{_LITERAL})"
_VARIABLE = re.compile(rf"\{{({_IDENTIFIER}(?:\.{_IDENTIFIER})*)(?:={_SEGMENT}(?:/{_SEGMENT})*)?\}}")
_PART = rf"(?:{_SEGMENT}|{_VARIABLE.pattern.replace('({', '(?:{', 1)})"
_TEMPLATE = re.compile(rf"/(?:{_PART}(?:/{_PART})*(?::{_LITERAL})?)?")
_BEHIND_ALL = re.compile(r"\*\*\}?/")
"""A segment behind `**`, which is all that is left of a path."""


class Called(NamedTuple):
    """Services that can be called."""

    descriptors: bytes
    """Serialised; each file after those that it imports."""
    services: tuple[str, ...]


class Fault(NamedTuple):
    """What is wrong, and with which of the services that were asked for; None for no one in particular."""

    place: int | None
    message: str


def read_services(wire: bytes, names: tuple[str, ...], *, all_methods: bool) -> Called | Fault:
    """Returns the services; without names all that are defined by files that no other file imports."""
    files = _in_order(descriptor_pb2.FileDescriptorSet.FromString(wire).file)
    services = {name: each for file in files for name, each in _services_of(file)}
    imported = {name for file in files for name in file.dependency}
    own = [name for file in files if file.name not in imported for name, _ in _services_of(file)]
    wrong = _fault_of_names(names, services) or _fault_of_methods(files, names or tuple(own), all_methods=all_methods)
    if wrong is not None:
        return Fault(wrong.place if names else None, wrong.message)
    for file in files:
        file.ClearField("source_code_info")
    made = descriptor_pb2.FileDescriptorSet(file=files)
    return Called(made.SerializeToString(deterministic=True), names or tuple(own))


def _services_of(file: descriptor_pb2.FileDescriptorProto) -> Iterator[tuple[str, ServiceProto]]:
    for each in file.service:
        yield f"{file.package}.{each.name}".lstrip("."), each


def _fault_of_names(names: tuple[str, ...], services: Collection[str]) -> Fault | None:
    for place, name in enumerate(names):
        if name not in services:
            known = f": there are {', '.join(sorted(services))[:200]}" if services else ""
            return Fault(place, f"The schema has no service {name}{known}.")
    return None


def _fault_of_methods(
    files: Iterable[descriptor_pb2.FileDescriptorProto], names: tuple[str, ...], *, all_methods: bool
) -> Fault | None:
    pool = descriptor_pool.DescriptorPool()
    for file in files:
        pool.AddSerializedFile(file.SerializeToString())
    called = False
    for place, name in enumerate(names):
        for method in pool.FindServiceByName(name).methods:
            rule = method.GetOptions().Extensions[_HTTP]
            called = called or all_methods or rule.WhichOneof("pattern") is not None
            if wrong := _fault(method, rule):
                return Fault(place, f"{name}.{method.name} can't be called by JSON: {wrong}.")
    if called:
        return None
    if not names:
        return Fault(None, "The schema has no service.")
    return Fault(None, "No method of the services has google.api.http; `allMethods` calls them by their names.")


def _in_order(files: Iterable[descriptor_pb2.FileDescriptorProto]) -> list[descriptor_pb2.FileDescriptorProto]:
    """Each once, after those that it imports: the proxy takes them one by one. In a sound Schema there is no circle."""
    waiting = {file.name: file for file in files}
    ordered: list[descriptor_pb2.FileDescriptorProto] = []
    while waiting:
        ready = [name for name, file in waiting.items() if not waiting.keys() & set(file.dependency)]
        ordered.extend(waiting.pop(name) for name in ready)
    return ordered


def _fault(method: MethodDescriptor, rule: http_pb2.HttpRule) -> str:
    """What can't be done of a binding and those beside it; empty for nothing."""
    found = (wrong for each in (rule, *rule.additional_bindings) for wrong in _faults(method, each))
    return next(found, "")


def _faults(method: MethodDescriptor, rule: http_pb2.HttpRule) -> Iterator[str]:
    pattern = rule.WhichOneof("pattern")
    if pattern is None:
        return
    path = rule.custom.path if pattern == "custom" else str(getattr(rule, pattern))
    if not _TEMPLATE.fullmatch(path) or _BEHIND_ALL.search(path):
        yield f"{path or 'an empty path'} is no template of a path"
    for variable in _VARIABLE.findall(path):
        if not _is_single(method.input_type, variable.split(".")):
            yield f"{method.input_type.full_name} has no field {variable} with a single value"
    if rule.body not in {"", "*"} and rule.body not in method.input_type.fields_by_name:
        yield f"{method.input_type.full_name} has no field {rule.body} for the body"
    if rule.response_body and not _is_body(method.output_type.fields_by_name.get(rule.response_body)):
        yield f"its response_body is no field of the type {_BODY}"


def _is_single(message: Descriptor, names: list[str]) -> bool:
    """Whether the path leads, by single messages, to a single value."""
    inside: Descriptor | None = message
    field: FieldDescriptor | None = None
    for name in names:
        field = None if inside is None else inside.fields_by_name.get(name)
        if field is None or field.is_repeated:
            return False
        inside = field.message_type
    return inside is None or inside.full_name.startswith(_WELL_KNOWN)


def _is_body(field: FieldDescriptor | None) -> bool:
    return field is not None and field.message_type is not None and field.message_type.full_name == _BODY
