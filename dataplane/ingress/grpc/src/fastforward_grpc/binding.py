"""What a method would be in HTTP: by its `google.api.http` option, or by its own name without one.

In: a method's descriptor. Out: a Binding, which makes path, query and content of a request's document, and finds the
reply's document in what came back. Called by schema, once a method, then by adapter, once a message.
Source: google/api/http.proto.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlencode

from google.api import annotations_pb2, http_pb2
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodDescriptorProto

from .template import Document, Template, UnboundError, parse_template, text_of

_HTTP: Any = annotations_pb2.http
WHOLE = "*"
_VERBS = {"get": "GET", "put": "PUT", "post": "POST", "delete": "DELETE", "patch": "PATCH"}


class Bound(NamedTuple):
    """A request in HTTP; `content` is None for one that has none."""

    target: str
    content: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """How a method's requests are put. `body` and `reply` are names of fields in JSON, of all fields (`*`) or none."""

    verb: str
    template: Template
    body: str
    reply: str

    def bind(self, document: Document) -> Bound:
        """Returns what a request is; its document is used up. Raises UnboundError."""
        path = self.template.fill(document)
        if self.body == WHOLE:
            return Bound(path, document)
        content = document.pop(self.body, {}) if self.body else None
        query = [pair for name, value in document.items() for pair in _query(name, value)]
        return Bound(f"{path}?{urlencode(query)}" if query else path, content)

    def unwrap(self, content: object) -> object:
        """Returns the reply's document."""
        return {self.reply: content} if self.reply else content


def bind_method(method: MethodDescriptor, wire: MethodDescriptorProto) -> Binding:
    """Returns the binding of a method. Raises ValueError when no rule of its option can be filled."""
    request, reply = method.input_type, method.output_type
    if not wire.options.HasExtension(_HTTP):
        template = Template((f"/{method.containing_service.full_name}/{method.name}",))
        return Binding(verb="POST", template=template, body=WHOLE, reply="")
    first = wire.options.Extensions[_HTTP]
    failure = ValueError(f"{method.full_name} has no rule")
    for rule in (first, *first.additional_bindings):
        try:
            return _bind(rule, request, reply)
        except ValueError as error:
            failure = error
    raise failure


def field_path(pointer: str, binding: Binding, request: Descriptor) -> str:
    """Returns the path of a field (`lines[0].quantity`) that is named by a JSON pointer into the content."""
    names = [each.replace("~1", "/").replace("~0", "~") for each in pointer.split("/")[1:]]
    if binding.body not in {"", WHOLE}:
        names.insert(0, binding.body)
    path, inside = "", request
    for name in names:
        if name.isdigit():
            path += f"[{name}]"
            continue
        field = None if inside is None else inside.fields_by_camelcase_name.get(name)
        path += f"{'.' if path else ''}{name if field is None else field.name}"
        inside = None if field is None else field.message_type
    return path


def _bind(rule: http_pb2.HttpRule, request: Descriptor, reply: Descriptor) -> Binding:
    kind = rule.WhichOneof("pattern")
    if kind is None:
        raise ValueError("the rule has no pattern")
    verb, path = (rule.custom.kind, rule.custom.path) if kind == "custom" else (_VERBS[kind], getattr(rule, kind))
    return Binding(
        verb=verb,
        template=parse_template(path, request),
        body=WHOLE if rule.body == WHOLE else _json_name(rule.body, request),
        reply=_json_name(rule.response_body, reply),
    )


def _json_name(name: str, message: Descriptor) -> str:
    if not name:
        return ""
    if name not in message.fields_by_name:
        raise ValueError(f"{message.full_name} has no field {name}")
    return message.fields_by_name[name].json_name


def _query(name: str, value: object) -> Iterator[tuple[str, str]]:
    """Yields the parameters of a field."""
    if isinstance(value, dict):
        for inner, each in value.items():
            yield from _query(f"{name}.{inner}", each)
        return
    for each in value if isinstance(value, list) else (value,):
        try:
            yield name, text_of(each)
        except UnboundError as error:
            raise UnboundError(name, "Lists of messages have no place in a query.") from error
