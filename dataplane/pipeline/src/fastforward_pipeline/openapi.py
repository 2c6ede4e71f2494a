"""OpenAPI 3.1 of a host: what its rules that send messages take and answer, by their Schemas.

In: a Snapshot and the name of a host. Out: a document (https://spec.openapis.org/oas/v3.1.1.html). Called by the CLI.
A rule without methods is described as POST when its content has a schema, as GET when it has none; rules whose path is
a regular expression have no path that OpenAPI could write, and are left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from fastforward.snapshot.v1 import snapshot_pb2

from .compiled.place import subschemas
from .compiled.route import Plan
from .idempotency import PATTERN, SAFE
from .message.gather import COMPLETED, FAILED
from .snapshot import Snapshot

Document = dict[str, Any]

_JSON, _PROBLEM = "application/json", "application/problem+json"
_DESCRIBED = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})
_ERROR: Document = {
    "type": "object",
    "required": ["pointer", "detail", "rule"],
    "properties": {
        "pointer": {"type": "string", "description": "Where in the content (RFC 6901)."},
        "detail": {"type": "string"},
        "rule": {"type": "string", "description": "The schema's own word for what is asked."},
    },
}
_PROBLEM_SCHEMA: Document = {
    "type": "object",
    "description": "RFC 9457",
    "required": ["type", "title", "status", "stage", "reason"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "stage": {"type": "string"},
        "reason": {"type": "string"},
        "requestId": {"type": "string"},
        "messageId": {"type": "string"},
        "errors": {"type": "array", "items": _ERROR},
    },
}
_KEY: Document = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same request with the same key is handled once.",
    "schema": {"type": "string", "pattern": PATTERN},
}

_GATHERED = {
    COMPLETED: "Whether all have answered: `true` or `false`.",
    FAILED: "Who did not, and why: a list of strings with the parameter `reason` (RFC 9651).",
}
_WAIT: Document = {
    "name": "Prefer",
    "in": "header",
    "description": "`wait=N`: the answer is the reply when there is one within N seconds (RFC 7240), else 202.",
    "schema": {"type": "string"},
}
_ACCEPTED: Document = {
    "description": "Taken, and handled later.",
    "content": {
        _JSON: {
            "schema": {
                "type": "object",
                "required": ["messageId"],
                "properties": {"messageId": {"type": "string", "format": "uuid"}},
            }
        }
    },
}


def describe(snapshot: Snapshot, host: str) -> Document:
    """Returns the document; without paths for a host that has no such rules."""
    schemas: Document = {"Problem": _PROBLEM_SCHEMA}
    security: Document = {}
    paths: Document = {}
    for plan in sorted(snapshot.plans.values(), key=lambda each: (each.wire.match.path, each.endpoint, each.name)):
        if plan.scope.partition("|")[2] == host and _is_described(plan):
            operation = _operation(snapshot, plan, schemas, security)
            for method in _methods(plan):
                made = {**operation, "operationId": f"{operation['operationId']}.{method}"}
                parameters = _parameters(plan, method)
                if parameters:
                    made["parameters"] = parameters
                paths.setdefault(plan.wire.match.path or "/", {}).setdefault(method, made)
    components = {"schemas": schemas, **({"securitySchemes": security} if security else {})}
    info = {"title": host, "version": "1", "description": "Made from Routes and Schemas."}
    return {"openapi": "3.1.1", "info": info, "paths": paths, "components": components}


def _is_described(plan: Plan) -> bool:
    readable = plan.wire.match.path_type != snapshot_pb2.PATH_MATCH_TYPE_REGEX
    taken = bool(plan.candidates) or _is_command(plan)
    return plan.destination == "message" and taken and readable


def _is_command(plan: Plan) -> bool:
    return plan.wire.message.delivery == snapshot_pb2.MESSAGE_DELIVERY_COMMAND


def _methods(plan: Plan) -> list[str]:
    named = [method.lower() for method in plan.wire.match.methods if method.lower() in _DESCRIBED]
    if plan.wire.match.methods:
        return named
    return ["post"] if plan.wire.message.HasField("request") else ["get"]


def _parameters(plan: Plan, method: str) -> list[Document]:
    key = {**_KEY, "required": True} if plan.wire.message.key_required else _KEY
    return [*([] if method.upper() in SAFE else [key]), *([_WAIT] if _is_command(plan) else [])]


def _operation(snapshot: Snapshot, plan: Plan, schemas: Document, security: Document) -> Document:
    message = plan.wire.message
    asked = message.request if message.HasField("request") else None
    answered = message.reply if message.HasField("reply") else None
    operation: Document = {
        "operationId": f"{plan.endpoint}".replace("/", ".").replace("#", "."),
        "summary": message.type,
        "responses": {
            "200": _reply(plan, _use(snapshot, answered, schemas)),
            **({"422": _problem("The content breaks its schema.")} if asked is not None else {}),
            "default": _problem("Any other error."),
        },
    }
    if _is_command(plan):
        operation["responses"]["202"] = _ACCEPTED
    if asked is not None:
        content = {_JSON: {"schema": _use(snapshot, asked, schemas)}}
        operation["requestBody"] = {"required": True, "content": content}
    needs = dict(_security(snapshot, plan))
    if needs:
        security.update(needs)
        # Any of them will do.
        operation["security"] = [{name: []} for name in needs]
    return operation


def _reply(plan: Plan, schema: Document) -> Document:
    """A reply of several without a schema is an object with a member for each."""
    if not plan.gathers:
        return {"description": "The reply.", "content": {_JSON: {"schema": schema}}}
    gather = plan.wire.message.gather
    members = [part.member for part in gather.parts]
    made = schema or {
        "type": "object",
        "properties": {member: {} for member in members},
        "required": members if gather.require == len(members) else [],
        "minProperties": gather.require,
    }
    headers = {
        name: {"description": description, "schema": {"type": "string"}} for name, description in _GATHERED.items()
    }
    return {"description": "What they answered.", "headers": headers, "content": {_JSON: {"schema": made}}}


def _problem(description: str) -> Document:
    return {
        "description": description,
        "content": {_PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _security(snapshot: Snapshot, plan: Plan) -> Iterator[tuple[str, Document]]:
    auth = snapshot.auths.get(plan.auth)
    if auth is None or not auth.required:
        return
    if auth.jwt:
        yield "token", {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    if auth.basic:
        yield "password", {"type": "http", "scheme": "basic"}
    if auth.oidc is not None:
        discovery = f"{auth.oidc.issuer.rstrip('/')}/.well-known/openid-configuration"
        yield "login", {"type": "openIdConnect", "openIdConnectUrl": discovery}
    for header, _ in auth.keys_by_header:
        yield f"key.{header}", {"type": "apiKey", "in": "header", "name": header}


def _use(snapshot: Snapshot, ref: snapshot_pb2.SchemaVersionRef | None, schemas: Document) -> Document:
    """Returns a reference to a schema, which is put among the components; one that allows all when there is none."""
    known = snapshot.schemas.get(ref.schema) if ref is not None else None
    if ref is None or known is None or ref.version not in known.contents:
        return {}
    name = re.sub(r"[^A-Za-z0-9._-]", ".", f"{ref.schema}.{ref.version}")
    if name not in schemas:
        schemas[name] = _rebased(json.loads(known.versions[ref.version]), f"#/components/schemas/{name}")
    return {"$ref": f"#/components/schemas/{name}"}


def _rebased(document: Document | bool, base: str) -> Document | bool:
    """Returns the schema with its references, which lead within it, as they are where it lies now."""
    if not isinstance(document, dict):
        return document
    anchors: dict[str, str] = {}
    found = list(_located("", document))
    for at, schema in found:
        if "$anchor" in schema:
            anchors[f"#{schema.pop('$anchor')}"] = f"{base}{at}"
    for _, schema in found:
        if "$ref" in schema:
            ref: str = schema["$ref"]
            schema["$ref"] = anchors.get(ref) or f"{base}{ref.removeprefix('#')}"
    for word in ("$schema", "$id"):
        document.pop(word, None)
    return document


def _located(at: str, schema: Mapping[str, Any]) -> Iterator[tuple[str, Document]]:
    waiting: list[tuple[str, Any]] = [(at, schema)]
    while waiting:
        here, each = waiting.pop()
        if isinstance(each, dict):
            yield here, each
            waiting.extend((f"{here}/{path}", inner) for path, inner in subschemas(each))
