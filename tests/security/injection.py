"""A world with a text in every field, hostile texts to put there, and the structure of what is emitted for it.

Out: documents, texts, and structures that are equal when two configurations differ in values only. Called by
test_injection.
"""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from fastforward_compiler import ir
from fastforward_compiler.emit.envoy import EmitSettings, EnvoyEmitter, EnvoyResource
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import Message

from security.policies import by_token, keys
from support.resources import Document, on, prefix, resource, upstream

Path = tuple[Any, ...]

HOSTILE = (
    "%REQ(authorization)%",
    "100%%DOWNSTREAM_REMOTE_ADDRESS%",
    '"]]..os.exit()--[[',
    "\"}; os.execute('id') --",
    "]]>",
    "a\nx-injected: {y: [2]}\r\n\r\n",
    '{"a": {"b": 1}}',
    "\x0a\x03abc\x12\x00",
    "\\1\\0$1${x}",
    "a' || true || 'b",
    "é世\u202e\U0001f600",
    "../../etc/passwd",
    "%00%0d%0aset-cookie:a",
)
SHAPES = ("{}", "/{}", "https://{}", "x{}")
"""What a format may want before the text."""


def world(port: int) -> list[Document]:
    """Objects of each kind, with a text wherever there can be one."""
    match = prefix(
        "/a",
        headers=[{"name": "x-a", "value": "v"}, {"name": "x-b", "type": "Prefix", "value": "v"}],
        query=[{"name": "q", "value": "v"}, {"name": "r", "type": "Regex", "value": "v+"}],
        apiVersion="v2",
    )
    changes = {"set": [{"name": "x-set", "value": "v"}], "add": [{"name": "x-add", "value": "v"}], "remove": ["x-gone"]}
    cors = {"allowOrigins": ["https://a.example.com"], "allowHeaders": ["x-a"], "exposeHeaders": ["x-b"]}
    proxied: Document = {"matches": [match], "upstreams": [{"name": "up"}], "cors": cors}
    proxied |= {"requestHeaders": changes, "responseHeaders": changes, "name": "proxied"}
    rules = [
        {**proxied, "rewrite": {"host": "inner.example.com", "replacePath": "/z"}},
        {"matches": [prefix("/b")], "upstreams": [{"name": "up"}], "rewrite": {"replacePrefix": "/y"}},
        {
            "matches": [{"path": {"type": "Regex", "value": "/c/(.*)"}}],
            "upstreams": [{"name": "up"}],
            "rewrite": {"regex": {"pattern": "/c/(.*)", "substitution": "/d/\\1"}},
        },
        {"matches": [prefix("/d")], "redirect": {"path": "/e"}},
        {"matches": [prefix("/f")], "redirect": {"host": "other.example.com", "path": "/g"}},
        {"matches": [prefix("/h")], "respond": {"status": 200, "body": "hello", "contentType": "text/plain"}},
        {"matches": [prefix("/i", tenants=["acme"])], "respond": {"body": "own"}},
    ]
    grant = {"name": "g", "roles": ["reader"], "permissions": ["stock:read"], "methods": ["GET"]}
    provider = by_token(
        "main", "acme", audiences=["shop"], tenantClaim="tenant", rolesClaim="roles", permissionsClaim="scope"
    )
    return [
        resource(
            "Edge",
            "public",
            {
                "hosts": ["*.example.com", "shop.example.com"],
                "listeners": [{"name": "http", "port": port}],
                "region": "eu",
                "apiVersions": {"header": "x-api-version", "default": "v1"},
                "trustedHops": {"addresses": ["10.0.0.0/8"]},
                "admission": {"denyAddresses": ["192.0.2.0/24"], "contentTypes": ["application/json"]},
            },
        ),
        resource("Tenant", "acme", {"plan": "pro", "region": "eu", "flags": ["beta"]}),
        upstream("up", 80, loadBalancing={"policy": "RingHash", "hashOn": {"header": "x-user"}}),
        resource(
            "AuthPolicy",
            "callers",
            {
                "targets": [on("Edge", "public")],
                "authentication": {"mode": "Optional", "providers": [provider]},
                "authorization": {"grants": [grant, {"name": "h", "condition": "identity.subject == 'me'"}]},
            },
        ),
        resource(
            "RateLimit",
            "limit",
            {
                "targets": [on("Edge", "public")],
                "key": [{"type": "Header", "header": "x-one"}],
                "budget": {"requests": 9, "window": "1s"},
            },
        ),
        resource("Route", "shop", {"edges": [{"name": "public"}], "rules": rules}),
        keys("main"),
    ]


def text_fields(documents: list[Document]) -> Iterator[Path]:
    """Where there is a text in a `spec`."""
    for number, document in enumerate(documents):
        for path in _texts(document.get("spec")):
            yield (number, "spec", *path)


def _texts(value: Any) -> Iterator[Path]:  # noqa: ANN401 - whatever JSON can say
    if isinstance(value, str):
        yield ()
        return
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        for path in _texts(member):
            yield (key, *path)


def with_text(documents: list[Document], path: Path, text: str) -> list[Document]:
    """The documents with another text at a place."""
    changed = list(documents)
    changed[int(path[0])] = at = copy.deepcopy(documents[int(path[0])])
    inner: Any = at
    for key in path[1:-1]:
        inner = inner[key]
    inner[path[-1]] = text
    return changed


def text_at(documents: list[Document], path: Path) -> str:
    """What stands at a place."""
    found: Any = documents
    for key in path:
        found = found[key]
    return str(found)


def emit(delta: ir.Delta) -> tuple[EnvoyResource, ...]:
    """What Envoy gets."""
    return EnvoyEmitter(EmitSettings(bind_address="127.0.0.1", access_log="/dev/null")).apply(delta).upserts


def structure(resources: tuple[EnvoyResource, ...]) -> Counter[str]:
    """Every node of every resource, without its value, and how often it is there."""
    seen: Counter[str] = Counter()
    for made in resources:
        kind = made.type_url.rpartition("/")[2]
        seen.update(_nodes(_message(kind, made.body), kind))
    return seen


def _message(kind: str, body: bytes) -> Message:
    found = descriptor_pool.Default().FindMessageTypeByName(kind)
    return message_factory.GetMessageClass(found).FromString(body)


def _nodes(message: Any, at: str) -> Iterator[str]:  # noqa: ANN401 - messages have no types
    """Keys of maps are values; text that Envoy or Lua reads as a program counts with its words."""
    kind = message.DESCRIPTOR.full_name
    if kind == "google.protobuf.Any":
        yield from _nodes(_message(message.TypeName(), message.value), f"{at}({message.TypeName()})")
        return
    for field, value in message.ListFields():
        here = f"{at}.{field.name}"
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            members = list(value.values())
        else:
            members = list(value) if field.is_repeated else [value]
        for member in members:
            if isinstance(member, Message):
                yield here
                yield from _nodes(member, here)
            else:
                yield f"{here}{_program(kind, field.name, member)}"


def _program(kind: str, field: str, value: object) -> str:
    """What is executed of a value: commands of a header's format, words of a script."""
    if kind.endswith("HeaderValue") and field == "value":
        return str(re.findall(r"%[A-Z_]+(?:\([^)]*\))?%|%", str(value).replace("%%", "")))
    if field == "inline_string" and "envoy_on_request" in str(value):
        return re.sub(r'"(?:\\\d{3}|[^"\\\n])*"', '""', str(value))
    return ""
