"""What an upstream answered, judged by the schema that the rule names for answers.

In: the snapshot, the rule's Plan, and the answer as far as the proxy holds it. Out: a Refusal, or None for yes. Called
by EntryPoint, on the way back; it waits for nothing. Clients learn that the answer was wrong, never how.
"""

from __future__ import annotations

from .compiled.body import BodyRules
from .decision import Refusal
from .message.content import Broken
from .message.content import judge as judge_content
from .message.violations import tell_violations
from .reason import Reason
from .snapshot import Snapshot

_FIELD = "spec.rules.responseBody"


def judge_response(
    snapshot: Snapshot, plan_name: str, media_type: str, encoding: str, content: bytes
) -> tuple[Refusal | None, bool]:
    """Returns what is wrong, and whether that is in the shadow: told, but let pass."""
    plan = snapshot.plans.get(plan_name)
    rules = None if plan is None else plan.response_body
    if plan is None or rules is None:
        detail = "the rule is not in the snapshot, or judges no answers"
        return Refusal(reason=Reason.REPLY_UNJUDGED, detail=detail), False
    return _judge(snapshot, f"Route {plan.route}", rules, (media_type, encoding, content)), rules.shadow


def _judge(snapshot: Snapshot, route: str, rules: BodyRules, answer: tuple[str, str, bytes]) -> Refusal | None:
    media_type, encoding, content = answer
    if len(content) > rules.max_bytes:
        return _malformed(f"the answer has more than {rules.max_bytes} bytes", route, f"{_FIELD}.maxBytes")
    if encoding.strip().lower() not in {"", "identity"}:
        return _malformed(f"the answer is encoded as {encoding[:40]}, which was not asked for", route, _FIELD)
    name = f"Schema {rules.schema}"
    schema = snapshot.schemas.get(rules.schema)
    contents = None if schema is None else schema.contents.get(rules.version)
    if contents is None:
        detail = f"the snapshot has no version {rules.version} of the schema that answers can be judged by"
        return Refusal(reason=Reason.REPLY_UNJUDGED, detail=detail, object=name)
    outcome = judge_content(media_type, content, contents)
    if isinstance(outcome, Broken):
        return _malformed(tell_violations(outcome.violations), name, outcome.violations[0].pointer)
    return None if outcome is None else _malformed(outcome.detail, name, "")


def _malformed(detail: str, on: str, field: str) -> Refusal:
    return Refusal(reason=Reason.REPLY_MALFORMED, detail=detail, object=on, field=field)
