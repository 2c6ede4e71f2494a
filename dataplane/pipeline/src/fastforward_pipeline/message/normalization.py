"""Stage 4 of messages: content in canonical form, by the schema that the rule names, if it names one.

In: a Passage and the payload of the message or of its reply. Out: None, with the payload rewritten, or why it goes no
further. Called by the stages in and out. What can't be checked goes nowhere.
"""

from __future__ import annotations

from fastforward.message.v1 import envelope_pb2, error_pb2
from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_pipeline.decision import Refusal
from fastforward_pipeline.reason import Reason

from .content import Broken, Content, Form, canonical
from .failure import refuse
from .passage import Failed, Passage
from .violations import tell_violations


def judge(
    passage: Passage,
    payload: envelope_pb2.Payload,
    asked: snapshot_pb2.SchemaVersionRef | None,
    unknown: snapshot_pb2.UnknownFields.ValueType,
) -> Failed | None:
    """Rewrites the payload, and notes the schema by which it was found valid."""
    form = _find(passage, asked, unknown) if asked is not None else None
    made = form if isinstance(form, Refusal) else canonical(payload.media_type, payload.body, form)
    match made:
        case Content():
            payload.body, payload.media_type = made.body, made.media_type
            # Nobody else's word counts for it.
            payload.schema = "" if asked is None else asked.schema
            payload.schema_version = "" if asked is None else asked.version
            return None
        case Broken():
            return _broken(passage, made, "" if asked is None else f"Schema {asked.schema}")
        case Refusal():
            return refuse(passage.envelope, made)


def _find(
    passage: Passage, asked: snapshot_pb2.SchemaVersionRef, unknown: snapshot_pb2.UnknownFields.ValueType
) -> Form | Refusal:
    schema = passage.exchange.snapshot.schemas.get(asked.schema)
    content = schema.contents.get(asked.version) if schema is not None else None
    if content is None:
        detail = f"the snapshot has no version {asked.version} of the schema that content can be checked by"
        return Refusal(reason=Reason.SCHEMA_MISSING, detail=detail, object=f"Schema {asked.schema}")
    return Form(content, unknown)


def _broken(passage: Passage, broken: Broken, schema: str) -> Failed:
    refusal = Refusal(
        reason=Reason.CONTENT_INVALID,
        detail=tell_violations(broken.violations),
        object=schema,
        field=broken.violations[0].pointer,
    )
    violations = [
        error_pb2.FieldViolation(pointer=each.pointer, description=each.detail, rule=each.rule)
        for each in broken.violations
    ]
    return refuse(passage.envelope, refusal, violations=violations)
