"""Cases of the rules of messages, adapters, event hooks and workloads. Called by rule_cases."""

from __future__ import annotations

import fastforward_crds as crds

from support.documents import Document
from support.rule_case import case

NAMED = {"name": "s"}
TAKEN: Document = {"type": "a.b", "upstream": {"name": "u"}}
PARTS = [{"name": "u", "as": "a"}, {"name": "u", "as": "b"}]
SECRET = {"name": "s", "key": "k"}
DATABASE: Document = {"host": "p", "database": "d"}
COMMAND: Document = {"type": "a.b", "delivery": "Command"}
AWAY: Document = {"component": "Stages", "stages": ["routing"], "upstream": {"name": "u"}}
ADAPTS: Document = {"component": "Ingress", "adapters": ["GRPC"], "upstream": {"name": "u"}}
CALLED: Document = {"component": "Target", "upstream": {"name": "u"}}

CASES = (
    case(
        crds.HookRetry,
        "The first pause is not longer than the longest.",
        "firstWait",
        kept=[{}, {"firstWait": "1m", "longestWait": "60s"}, {"firstWait": "1h"}],
        broken=[{"firstWait": "1m1ms", "longestWait": "60s"}, {"longestWait": "999ms"}],
    ),
    case(
        crds.WorkloadSpec,
        "Decision has no upstream.",
        "upstream",
        kept=[AWAY, ADAPTS, CALLED, {}, {"component": "Stages", "stages": ["routing"]}],
        broken=[{"upstream": NAMED}],
    ),
    case(
        crds.WorkloadSpec,
        "A Target is an upstream.",
        "upstream",
        kept=[CALLED, {}, {"component": "Stages", "stages": ["routing"]}],
        broken=[{"component": "Target"}, {"component": "Target", "encoding": "JSON"}],
    ),
    case(
        crds.WorkloadSpec,
        "Pods with adapters name the Workload that takes their messages, and nothing else does.",
        "decision",
        kept=[ADAPTS, AWAY, CALLED, {}, {"component": "Ingress", "adapters": ["REST"], "decision": NAMED}],
        broken=[
            {"component": "Ingress", "adapters": ["REST"]},
            {**ADAPTS, "decision": NAMED},
            {"decision": NAMED},
        ],
    ),
    case(
        crds.WorkloadSpec,
        "Stages names them, and nothing else has any.",
        "stages",
        kept=[AWAY, ADAPTS, CALLED, {}, {"stages": []}],
        broken=[
            {**AWAY, "stages": []},
            {"stages": ["routing"]},
            {**ADAPTS, "stages": ["routing"]},
            {**CALLED, "stages": ["routing"]},
        ],
    ),
    case(
        crds.WorkloadSpec,
        "Ingress names its adapters, and nothing else has any.",
        "adapters",
        kept=[ADAPTS, AWAY, CALLED, {}, {"adapters": []}],
        broken=[
            {**ADAPTS, "adapters": []},
            {"adapters": ["REST"]},
            {**AWAY, "adapters": ["REST"]},
            {**CALLED, "adapters": ["REST"]},
        ],
    ),
    case(
        crds.WorkloadSpec,
        "Requests for GRPC come in HTTP/2 and those for the others in HTTP/1.1: it needs a Workload of its own.",
        "adapters",
        kept=[ADAPTS, {**ADAPTS, "adapters": ["REST", "GraphQL", "WebSocket"]}],
        broken=[{**ADAPTS, "adapters": ["REST", "GRPC"]}],
    ),
    case(
        crds.WorkloadSpec,
        "Only calls of Stages and Target are told how to go.",
        "component",
        kept=[{**AWAY, "resilience": {}, "encoding": "JSON"}, {**CALLED, "encoding": "JSON"}, {"encoding": "Protobuf"}],
        broken=[{"encoding": "JSON"}, {"resilience": {"tries": 1}}, {**ADAPTS, "encoding": "JSON"}],
    ),
    case(
        crds.WorkloadSpec,
        "Only Decision counts in Redis.",
        "redis",
        kept=[AWAY, {"redis": {"host": "r"}}],
        broken=[{**AWAY, "redis": {"host": "r"}}],
    ),
    case(
        crds.WorkloadSpec,
        "Only Decision remembers, takes commands and signs.",
        "component",
        kept=[AWAY, {"seal": SECRET, "rabbitmq": {"host": "r"}, "postgresql": DATABASE}],
        broken=[{**AWAY, "seal": SECRET}, {**AWAY, "postgresql": DATABASE}],
    ),
    case(
        crds.WorkloadSpec,
        "Commands are signed with a key that their consumers can know.",
        "seal",
        kept=[{"seal": SECRET}, {"seal": SECRET, "rabbitmq": {"host": "r"}}, {}],
        broken=[{"rabbitmq": {"host": "r"}}],
    ),
    case(
        crds.PostgreSQL,
        "Only over TLS is there an authority.",
        "authority",
        kept=[DATABASE, {**DATABASE, "tls": True, "authority": SECRET}, {**DATABASE, "tls": True}],
        broken=[{**DATABASE, "authority": SECRET}],
    ),
    case(
        crds.RabbitMQ,
        "Only over TLS is there an authority.",
        "authority",
        kept=[{"host": "r"}, {"host": "r", "tls": True, "authority": SECRET}],
        broken=[{"host": "r", "authority": SECRET}],
    ),
    case(
        crds.Gather,
        "least goes with require: Some, and only with it.",
        "least",
        kept=[{"upstreams": PARTS, "require": "Some", "least": 1}, {"upstreams": PARTS, "require": "Any"}],
        broken=[{"upstreams": PARTS, "require": "Some"}, {"upstreams": PARTS, "least": 1}],
    ),
    case(
        crds.Gather,
        "No more can be required than there are.",
        "least",
        kept=[{"upstreams": PARTS, "require": "Some", "least": 2}],
        broken=[{"upstreams": PARTS, "require": "Some", "least": 3}],
    ),
    case(
        crds.MessageDispatch,
        "A message goes to one upstream, or to several.",
        "gather",
        kept=[TAKEN, {"type": "a.b", "gather": {"upstreams": PARTS}}],
        broken=[{**TAKEN, "gather": {"upstreams": PARTS}}],
    ),
    case(
        crds.MessageDispatch,
        "What nobody takes has no event, request or reply.",
        "upstream",
        kept=[
            {"type": "a.b"},
            {"type": "a.b", "upstream": {"name": "u"}, "event": "a.c", "reply": {"name": "s"}},
            {"type": "a.b", "gather": {"upstreams": PARTS}, "event": "a.c", "request": {"name": "s"}},
        ],
        broken=[
            {"type": "a.b", part: value} for part, value in (("event", "a.c"), ("request", NAMED), ("reply", NAMED))
        ],
    ),
    case(
        crds.MessageDispatch,
        "What nobody takes needs no key.",
        "idempotency",
        kept=[
            {**TAKEN, "idempotency": "Required"},
            {"type": "a.b", "gather": {"upstreams": PARTS}, "idempotency": "Required"},
            {"type": "a.b", "idempotency": "Optional"},
        ],
        broken=[{"type": "a.b", "idempotency": "Required"}],
    ),
    case(
        crds.MessageDispatch,
        "A Command goes to a queue: it has no upstream, and who handles it tells of it.",
        "delivery",
        kept=[COMMAND, {**COMMAND, "request": NAMED, "reply": NAMED}, {**TAKEN, "event": "a.c", "delivery": "Call"}],
        broken=[{**COMMAND, "upstream": {"name": "u"}}, {**COMMAND, "event": "a.c"}],
    ),
    case(
        crds.MessageDispatch,
        "The last part of a Command's type is not `dead`: what is left aside has the queue of that name.",
        "type",
        kept=[
            {**COMMAND, "type": "a.dead.b"},
            {**COMMAND, "type": "a.undead"},
            {**TAKEN, "type": "a.dead"},
            {**TAKEN, "event": "a.dead"},
        ],
        broken=[{**COMMAND, "type": "a.dead"}, {**COMMAND, "type": "a.b.dead"}, {**COMMAND, "type": "a.dead.dead"}],
    ),
    case(
        crds.MessageDispatch,
        "Only a request with a schema has unknown fields.",
        "unknownFields",
        kept=[{**TAKEN, "request": NAMED, "unknownFields": "Drop"}, {**TAKEN, "unknownFields": "Keep"}],
        broken=[{**TAKEN, "unknownFields": "Drop"}, {**TAKEN, "unknownFields": "Refuse"}],
    ),
    case(
        crds.AdapterDispatch,
        "GraphQL and GRPC need a schema, and WebSocket has none.",
        "schema",
        kept=[
            {"protocol": "WebSocket"},
            {"protocol": "GRPC", "schema": NAMED},
            {"protocol": "GraphQL", "schema": NAMED},
        ],
        broken=[{"protocol": "GRPC"}, {"protocol": "GraphQL"}, {"protocol": "WebSocket", "schema": NAMED}],
    ),
    case(
        crds.AdapterDispatch,
        "Only GraphQL has bounds of queries.",
        "graphql",
        kept=[{"protocol": "GraphQL", "schema": NAMED, "graphql": {}}, {"protocol": "WebSocket"}],
        broken=[
            {"protocol": "WebSocket", "graphql": {}},
            {"protocol": "GRPC", "schema": NAMED, "graphql": {"depth": 2}},
        ],
    ),
    case(
        crds.AdapterDispatch,
        "Pages open no connections by GRPC.",
        "origins",
        kept=[
            {"protocol": "WebSocket", "origins": ["https://*.example.com"]},
            {"protocol": "GraphQL", "schema": NAMED, "origins": ["*"]},
            {"protocol": "GRPC", "schema": NAMED, "origins": []},
        ],
        broken=[{"protocol": "GRPC", "schema": NAMED, "origins": ["https://example.com"]}],
    ),
)
