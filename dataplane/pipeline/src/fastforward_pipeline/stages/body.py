"""Stage 4 of proxied requests: the body, by the schema that the rule names, if it names one.

In: `final`, and the body that the proxy held. It goes on as it came: it is judged, never rewritten. After rate limits:
what costs work costs its caller a token. What can't be judged goes nowhere, unless the rule is in the shadow.
"""

from __future__ import annotations

from fastforward_pipeline.compiled.body import BodyRules
from fastforward_pipeline.compiled.jsonschema import JsonSchema
from fastforward_pipeline.decision import Refusal
from fastforward_pipeline.exchange import Exchange
from fastforward_pipeline.message.content import Broken
from fastforward_pipeline.message.content import judge as judge_content
from fastforward_pipeline.message.violations import tell_violations
from fastforward_pipeline.reason import Reason
from fastforward_pipeline.trail import Verdict

from .admission import WITHOUT_BODY, body_length

_FIELD = "spec.rules.body"
_PLAIN = frozenset({"", "identity"})


def judge(exchange: Exchange) -> Refusal | None:
    """Judges the body, where the rule asks for it."""
    rules = exchange.final.body
    if rules is None:
        return None
    refusal = _judge(exchange, rules)
    if refusal is None:
        _tell(exchange, rules)
        return None
    if not rules.shadow:
        return refusal
    exchange.shade(refusal)
    return None


def _judge(exchange: Exchange, rules: BodyRules) -> Refusal | None:
    request = exchange.request
    announced, content = body_length(request) or 0, request.content
    if max(announced, len(content or b"")) > rules.max_bytes:
        return _refuse(exchange, Reason.BODY_TOO_LARGE, f"the body has more than {rules.max_bytes} bytes", ".maxBytes")
    if request.method == "CONNECT" or "websocket" in request.text("upgrade").lower():
        return _refuse(exchange, Reason.CONTENT_UNTYPED, "what an upgraded connection carries can't be judged")
    if content is None or (not content and request.method in WITHOUT_BODY and announced == 0):
        return None
    return _refuse_unreadable(exchange, content) or _judge_content(exchange, rules, content)


def _refuse_unreadable(exchange: Exchange, content: bytes) -> Refusal | None:
    """Says no to what is not the text that the upstream will read: a part of it, or another one in an encoding."""
    held = (exchange.asked or exchange.entry).body
    if not content and held is None:
        return _refuse(exchange, Reason.CONTENT_UNSEEN, "the proxy asked about a rule that holds no bodies")
    if held is not None and len(content) > held.max_bytes:
        detail = f"the proxy asked about a rule that holds bodies of {held.max_bytes} bytes"
        return _refuse(exchange, Reason.CONTENT_UNSEEN, detail)
    encoding = exchange.request.text("content-encoding")
    if encoding.strip(" \t").lower() in _PLAIN:
        return None
    return _refuse(exchange, Reason.CONTENT_UNTYPED, f"the body is encoded as {encoding[:40]}")


def _judge_content(exchange: Exchange, rules: BodyRules, content: bytes) -> Refusal | None:
    name = f"Schema {rules.schema}"
    schema = _find(exchange, rules)
    if schema is None:
        detail = f"the snapshot has no version {rules.version} of the schema that content can be checked by"
        return Refusal(reason=Reason.SCHEMA_MISSING, detail=detail, object=name)
    outcome = judge_content(exchange.request.text("content-type"), content, schema)
    if not isinstance(outcome, Broken):
        return outcome
    violations = outcome.violations
    return Refusal(
        reason=Reason.CONTENT_INVALID,
        detail=tell_violations(violations),
        object=name,
        field=violations[0].pointer,
        violations=violations,
    )


def _refuse(exchange: Exchange, reason: Reason, detail: str, below: str = "") -> Refusal:
    return Refusal(reason=reason, detail=detail, object=f"Route {exchange.final.route}", field=f"{_FIELD}{below}")


def _find(exchange: Exchange, rules: BodyRules) -> JsonSchema | None:
    schema = exchange.snapshot.schemas.get(rules.schema)
    return None if schema is None else schema.contents.get(rules.version)


def _tell(exchange: Exchange, rules: BodyRules) -> None:
    if exchange.trail is not None:
        detail = "the body is not at hand here, and so not judged"
        if exchange.request.content is not None:
            detail = "the body keeps the schema, or there is none"
        verdict = Verdict.PASSED if exchange.request.content is not None else Verdict.SKIPPED
        exchange.trail.note("normalization", verdict, detail, object=f"Schema {rules.schema}")
