"""A version of a Schema as services: which methods there are, and what each would be in HTTP.

In: a serialised FileDescriptorSet. Out: Services, with a descriptor pool of their own, so that two tenants' types of
one name never meet. Called by adapter: once a version, which is then kept.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import structlog
from fastforward_pipeline.compiled.schema import Schema
from fastforward_pipeline.message import is_json
from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto
from google.protobuf.message import DecodeError, Message
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from .binding import Binding, bind_method
from .template import Document

log = structlog.get_logger(__name__)

_NO_OBJECTS = frozenset(
    f"google.protobuf.{name}"
    for name in (
        *("Value", "ListValue", "Timestamp", "Duration", "FieldMask", "StringValue", "BytesValue", "BoolValue"),
        *("DoubleValue", "FloatValue", "Int32Value", "Int64Value", "UInt32Value", "UInt64Value"),
    )
)
"""Messages that are no objects in JSON."""
FindSchema = Callable[[str], Schema | None]


class ContentError(ValueError):
    """Bytes that are no such message, or a message that is no JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One method; messages come and go as bytes."""

    descriptor: MethodDescriptor
    binding: Binding
    takes_stream: bool
    gives_stream: bool
    request: type[Message]
    reply: type[Message]
    pool: descriptor_pool.DescriptorPool

    def read(self, raw: bytes) -> Document:
        """Returns a request as JSON. Raises ContentError."""
        try:
            return json_format.MessageToDict(self.request.FromString(raw), descriptor_pool=self.pool)
        except (DecodeError, json_format.Error, ValueError, TypeError, RecursionError) as error:
            raise ContentError(str(error)) from error

    def _document(self, content: object) -> Document:
        document = self.binding.unwrap(content)
        if self.reply.DESCRIPTOR.full_name not in _NO_OBJECTS and not isinstance(document, dict):
            raise ContentError("the reply is no object")
        return cast("Document", document)

    def write(self, content: object) -> bytes:
        """Returns a reply's bytes. Raises ContentError."""
        reply = self.reply()
        try:
            json_format.ParseDict(self._document(content), reply, ignore_unknown_fields=True, descriptor_pool=self.pool)
            return reply.SerializeToString()
        except (json_format.Error, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise ContentError(str(error)) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What one version of a Schema says."""

    names: tuple[str, ...]
    methods: Mapping[str, Method]
    """By `/PACKAGE.SERVICE/METHOD`."""
    pool: descriptor_pool.DescriptorPool


class Known:
    """The Services in use. An edit of a Schema makes a new one: what was made of the old one is let go."""

    def __init__(self, find: FindSchema) -> None:
        self._find = find
        self._made: dict[tuple[str, str], tuple[Schema, Services | None]] = {}

    def services(self, name: str, version: str) -> Services | None:
        """Returns what a version says; None when it is not there, or nothing that can be read."""
        schema = self._find(name)
        if schema is None or version not in schema.versions:
            return None
        made = self._made.get((name, version))
        if made is None or made[0] is not schema:
            self._made = {key: each for key, each in self._made.items() if self._find(key[0]) is each[0]}
            made = schema, _compiled(schema, version)
            self._made[name, version] = made
        return made[1]


def compile_services(document: bytes) -> Services:
    """Returns the services of a FileDescriptorSet. Raises ValueError or TypeError when it is none.

    A method whose option can't be fulfilled is left out: nobody can say which rule it takes.
    """
    try:
        files = {each.name: each for each in FileDescriptorSet.FromString(document).file}
    except DecodeError as error:
        raise ValueError(str(error)) from error
    pool = descriptor_pool.DescriptorPool()
    added: set[str] = set()
    for name in files:
        _add(name, files, pool, added)
    names, methods = [], {}
    for file in files.values():
        for service in file.service:
            full_name = f"{file.package}.{service.name}".lstrip(".")
            names.append(full_name)
            for method in service.method:
                found = pool.FindMethodByName(f"{full_name}.{method.name}")
                methods.update(_served(f"/{full_name}/{method.name}", found, method, pool))
    names.extend(_standard(names, pool))
    return Services(names=tuple(sorted(names)), methods=methods, pool=pool)


def _standard(names: Sequence[str], pool: descriptor_pool.DescriptorPool) -> Iterator[str]:
    """Adds the services that every server has, unless the Schema has its own; yields their names."""
    for file in (health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR):
        [name] = (service.full_name for service in file.services_by_name.values())
        if name not in names:
            with contextlib.suppress(TypeError):  # the Schema has types of these names, and tells of those
                pool.AddSerializedFile(file.serialized_pb)
                yield name


def content_of(media_type: str, body: bytes) -> Any:  # noqa: ANN401 - JSON
    """Returns what is in a reply: an empty one is an empty message. Raises ContentError."""
    if not body:
        return {}
    if not is_json(media_type):
        raise ContentError(f"the reply is {media_type}")
    return json.loads(body)


def _served(
    path: str, found: MethodDescriptor, wire: MethodDescriptorProto, pool: descriptor_pool.DescriptorPool
) -> Iterator[tuple[str, Method]]:
    try:
        binding = bind_method(found, wire)
    except ValueError as error:
        log.warning("method not served", method=path, why=str(error))
        return
    yield (
        path,
        Method(
            descriptor=found,
            binding=binding,
            takes_stream=wire.client_streaming,
            gives_stream=wire.server_streaming,
            request=message_factory.GetMessageClass(found.input_type),
            reply=message_factory.GetMessageClass(found.output_type),
            pool=pool,
        ),
    )


def _add(
    name: str, files: Mapping[str, FileDescriptorProto], pool: descriptor_pool.DescriptorPool, added: set[str]
) -> None:
    """Adds a file after all that it imports; those of protobuf itself may be left out of a set."""
    if name in added:
        return
    added.add(name)
    file = files.get(name)
    if file is None:
        file = FileDescriptorProto()
        try:
            descriptor_pool.Default().FindFileByName(name).CopyToProto(file)
        except KeyError as error:
            raise ValueError(f"{name} is imported and not there") from error
    for dependency in file.dependency:
        _add(dependency, files, pool, added)
    pool.Add(file)


def _compiled(schema: Schema, version: str) -> Services | None:
    try:
        return compile_services(schema.versions[version])
    except (ValueError, TypeError, KeyError) as error:
        log.error("descriptors unusable", schema=schema.name, version=version, why=str(error))
        return None
