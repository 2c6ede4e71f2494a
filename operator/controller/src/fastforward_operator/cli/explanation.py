"""`python -m fastforward_operator.cli.explanation`: what `ff explain request` says, once, for the operator's page.

In: on standard input a line of JSON with the request as it was typed, then a serialised SnapshotDelta. Out: on standard
output JSON, with `explanation` and `notes`, or with `mistake` when what was typed is no request. Called by
page/explanation of the operator, as a process of its own.
"""

from __future__ import annotations

import json
import sys
from typing import Any, BinaryIO

from fastforward.snapshot.v1 import snapshot_pb2

from .explain import Asked, explain_request, request_of
from .simulation import RequestError


def main() -> None:
    """One question, one answer."""
    print(json.dumps(answer(sys.stdin.buffer)))


def answer(asked: BinaryIO) -> dict[str, Any]:
    """Reads the request and the snapshot."""
    question: dict[str, Any] = json.loads(asked.readline())
    try:
        request = request_of(Asked(**question))
        resources = snapshot_pb2.SnapshotDelta.FromString(asked.read()).resources
        explanation, notes = explain_request(request, resources, listener="listener")
    except RequestError as error:
        return {"mistake": str(error)}
    return {"explanation": explanation, "notes": notes}


if __name__ == "__main__":
    main()
