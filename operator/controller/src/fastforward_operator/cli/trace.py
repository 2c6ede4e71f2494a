"""`ff trace`: the way of a message through all stages, with times.

In: an id: of a message, or of the request or the trace that it belongs to. Out: a timeline for each message that an
EntryPoint remembers, or JSON and YAML; exit code 1 when none does. Called by cli/main.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from .output import Output, print_data
from .source import connect
from .where import Where

_WIDTH = 40
"""Of the timeline, in characters."""
_SETTING = "FF_ENTRYPOINT_REMEMBERED_MESSAGES"


def run(id_: str, output: Output, where: Where) -> int:
    """Print what is known of it."""
    if not id_:
        print("Name the ID of a message, its request or its trace: x-ff-message-id has it.", file=sys.stderr)
        return 2
    found = sorted(connect(where).messages(id_), key=lambda message: message["began"])
    if output is not Output.TEXT:
        print_data({"messages": found}, output)
    elif found:
        print("\n\n".join("\n".join(_lines(message)) for message in found))
    if not found:
        print(
            f"No EntryPoint that answers knows of {id_}: each remembers the last messages that ended since it was"
            f" started, as many as {_SETTING} says.",
            file=sys.stderr,
        )
    return 0 if found else 1


def _lines(message: dict[str, Any]) -> Iterator[str]:
    yield f"{message['id']}  {message['verdict']} in {message['ms']:.3f} ms"
    for title, told in _facts(message):
        if told:
            yield f"  {title:<11} {told}"
    yield ""
    for step in message["steps"]:
        yield _step(step, message["ms"])


def _facts(message: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "began", message["began"]
    yield "EntryPoint", message["node"]
    yield "type", message["type"]
    yield "tenant", message["tenant"]
    yield "protocol", f"{message['protocol']}, {message['method']}"
    yield "route", ", rule ".join(filter(None, (message["route"], message["rule"])))
    yield "handed to", ", ".join(message["destinations"])
    yield "as", message["delivery"].lower()
    yield "reason", message["reason"]
    yield "said by", message["object"]
    yield "because", message["detail"]
    yield "request", message["requestId"]
    yield "trace", message["traceId"]


def _step(step: dict[str, Any], whole_ms: float) -> str:
    """A line: where, when it began, how long it took, and both as a bar."""
    elsewhere = f" at {step['elsewhere']}" if step["elsewhere"] else ""
    before = min(_WIDTH - 1, int(_WIDTH * step["atMs"] / whole_ms)) if whole_ms else 0
    length = max(1, min(_WIDTH - before, round(_WIDTH * step["ms"] / whole_ms))) if whole_ms else 1
    bar = f"{'.' * before}{'#' * length}".ljust(_WIDTH, ".")
    return f"  {step['direction']:<3} {step['stage']:<14} {step['atMs']:>9.3f} {step['ms']:>9.3f} ms  {bar}{elsewhere}"
