"""`ff render`: what Envoy, the decision service or a Traefik in front gets, as JSON or YAML.

In: directories. Out: every resource by type and name, in the standard JSON form of its message; what is confidential
is redacted unless asked for. Called by cli/main.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from fastforward_compiler import ir
from fastforward_compiler.emit.decision import DecisionDelta, DecisionEmitter
from fastforward_compiler.emit.envoy import EmitSettings, EnvoyDelta, EnvoyEmitter, EnvoyResource
from fastforward_compiler.emit.kubernetes import TRAEFIK, PodSettings, emit_edge
from google.protobuf import descriptor_pool, json_format, message_factory

from fastforward.snapshot.v1 import snapshot_pb2

from .moment import moment
from .offline import load, warn_of_problems
from .output import Output, print_data
from .target import Target

_NAMESPACE = "fastforward-system"
"""Where the operator and the pods are that it makes."""
REDACTED = "[redacted: --show-secrets]"

Rendered = dict[str, dict[str, Any]]
"""Resources by type, then by name."""


def run(directories: Sequence[Path], target: Target, output: Output, *, show_secrets: bool, at: str = "") -> int:
    """Print the resources; what is wrong with the directories is counted, and left to `ff validate`."""
    offline = load(directories, at=moment(at))
    warn_of_problems(offline, directories)
    delta = offline.delta
    if target is Target.TRAEFIK:
        return _print_traefik(delta.edges.upserts, output)
    if target is Target.ENVOY:
        rendered = render_envoy(EnvoyEmitter(EmitSettings()).apply(delta), show_secrets=show_secrets)
    else:
        rendered = render_decision(DecisionEmitter().apply(delta), show_secrets=show_secrets)
    print_data(rendered, Output.YAML if output is Output.TEXT else output)
    return 0


def _print_traefik(edges: Iterable[ir.Edge], output: Output) -> int:
    """One list, for `kubectl apply`; the operator applies the same, with its own namespace and these names."""
    settings = PodSettings(namespace=_NAMESPACE, envoy_image="", decision_image="")
    made = [each for edge in sorted(edges, key=lambda edge: edge.name) for each in emit_edge(edge, settings)]
    items = [each for each in made if each["apiVersion"] == TRAEFIK]
    if not items:
        print("No Edge here has front.traefik, so no Traefik is told anything.", file=sys.stderr)
        return 1
    print_data({"apiVersion": "v1", "kind": "List", "items": items}, Output.YAML if output is Output.TEXT else output)
    return 0


def render_envoy(delta: EnvoyDelta, *, show_secrets: bool) -> Rendered:
    """Envoy's resources by the name of their message; scopes by that of their table, which can be read."""
    rendered: Rendered = {}
    for resource in sorted(delta.upserts, key=lambda one: one.id):
        body = envoy_body(resource)
        if not show_secrets:
            _redact_envoy(body)
        name = body.get("routeConfiguration", {}).get("name", resource.name)
        rendered.setdefault(resource.type_url.rpartition("/")[2], {})[name] = body
    return {kind: dict(sorted(named.items())) for kind, named in rendered.items()}


def render_decision(delta: DecisionDelta, *, show_secrets: bool) -> Rendered:
    """The decision snapshot by noun."""
    rendered: Rendered = {}
    for resource in sorted(delta.upserts, key=lambda one: one.name):
        noun, _, name = resource.name.partition("/")
        rendered.setdefault(noun, {})[name] = decision_body(resource, show_secrets=show_secrets)
    return rendered


def envoy_body(resource: EnvoyResource, *, as_written: bool = False) -> dict[str, Any]:
    """The standard JSON of a resource, or with the names of its fields as they are written."""
    name = resource.type_url.rpartition("/")[2]
    message = message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(name))()
    message.ParseFromString(resource.body)
    return json_format.MessageToDict(message, preserving_proto_field_name=as_written)


def _redact_envoy(body: dict[str, Any]) -> None:
    private = body.get("tlsCertificate", {}).get("privateKey")
    if private is not None:
        body["tlsCertificate"]["privateKey"] = REDACTED


def decision_body(resource: snapshot_pb2.Resource, *, show_secrets: bool) -> dict[str, Any]:
    """The standard JSON of a resource."""
    body: dict[str, Any] = json_format.MessageToDict(resource)
    content: dict[str, Any] = body[resource.WhichOneof("body") or ""]
    if "jwks" in content:
        content["jwks"] = json.loads(base64.b64decode(content["jwks"]))
    if "pepper" in content and not show_secrets:
        content["pepper"] = REDACTED
        for key in content.get("keys", []):
            key["hash"] = REDACTED
    if resource.WhichOneof("body") == "users" and not show_secrets:
        content["users"] = [{**user, "hash": REDACTED} for user in content.get("users", ())]
    if resource.WhichOneof("body") == "oidc" and not show_secrets:
        content["secret"] = REDACTED
    if "secrets" in content and not show_secrets:
        content["secrets"] = [REDACTED] * len(content["secrets"])
    return content
