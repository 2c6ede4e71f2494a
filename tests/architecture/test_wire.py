"""What the snapshot says is read by somebody: a field that nobody reads costs, and promises something."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from fastforward.snapshot.v1 import snapshot_pb2
from support.repository import ROOT

READERS = (
    "dataplane/pipeline/src",
    "dataplane/ingress",
    "dataplane/entrypoint/src",
    "operator/controller/src/fastforward_operator/cli",
)
ENVELOPES = {"SnapshotRequest", "SnapshotDelta", "Resource"}


def names_read() -> Iterator[str]:
    """Names of attributes, and texts, since some fields are asked for by name."""
    for path in (path for folder in READERS for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                yield node.attr
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_every_field_of_the_snapshot_is_read() -> None:
    read = set(names_read())
    messages = snapshot_pb2.DESCRIPTOR.message_types_by_name
    sent = {
        f"{name}.{field.name}": field.name
        for name, message in messages.items()
        if name not in ENVELOPES
        for field in message.fields
    }
    assert {full for full, field in sent.items() if field not in read} == set()
