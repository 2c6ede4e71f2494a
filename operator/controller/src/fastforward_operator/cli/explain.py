"""`ff explain request`: what happens to a request, stage by stage, and what would have to change.

In: a request as curl takes it, and a snapshot. Out: the verdict and the Trail through the eight stages; exit code 0
whatever the verdict, for the explanation is what was asked for. Called by cli/main.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fastforward_pipeline import Request, Snapshot, TokenBuckets

from .listener import come_in
from .moment import moment
from .output import Output, print_data
from .simulation import Judged, RequestError, judge, make_request
from .snapshots import Resources, believe_keys, believe_passwords, read_snapshot
from .where import Where
from .zone import zone_lines

_LONGEST_LENGTH = 18
"""Digits: whatever fits into 64 bits."""


class Asked(NamedTuple):
    """The request, as it was typed."""

    method: str
    url: str
    headers: tuple[str, ...]
    address: str
    listener: str
    external: int = 200
    """What services that would be asked are taken to answer."""


def run(asked: Asked, directories: Sequence[Path], state: Path, output: Output, where: Where, at: str = "") -> int:
    """Print the explanation; 1 when what was typed is no request."""
    try:
        request = request_of(asked)
    except RequestError as error:
        print(error, file=sys.stderr)
        return 1
    resources = read_snapshot(directories, state, where, moment(at))
    try:
        told, notes = explain_request(request, resources, external=asked.external)
    except RequestError as error:
        print(error, file=sys.stderr)
        return 1
    for note in notes:
        print(note, file=sys.stderr)
    if output is not Output.TEXT:
        print_data(told, output)
        return 0
    print(f"{request.method} {asked.url}")
    print("\n".join(_lines(told)))
    return 0


def request_of(asked: Asked) -> Request:
    """The request that was typed; raises RequestError."""
    headers = list(_parse_headers(asked.headers))
    return make_request(
        asked.method,
        asked.url,
        headers,
        address=asked.address,
        listener=asked.listener,
        body_bytes=_length(headers),
    )


def explain_request(
    request: Request, resources: Resources, *, external: int = 200, listener: str = "--listener"
) -> tuple[dict[str, Any], list[str]]:
    """Everything there is to say, and which credentials were taken as valid.

    Raises RequestError for a listener that is not there; `listener` is what it was given by.
    """
    values = [value for values in request.headers.values() for value in values]
    believed = [f"API key {key} is taken as valid" for key in believe_keys(resources, values)]
    believed += [f"The password of {user} is taken as right" for user in believe_passwords(resources, values)]
    notes = [f"{each}: the operator hands out no hash to judge it by." for each in believed]
    snapshot = Snapshot.empty().apply(resources)
    judged = judge(snapshot, come_in(snapshot, request, listener), TokenBuckets(), external=external)
    return explain(judged), notes


def explain(judged: Judged) -> dict[str, Any]:
    """Everything there is to say, as plain values."""
    return {
        **judged.trail.to_dict(judged.decision),
        "becomes": judged.becomes,
        "upstreamRequest": judged.upstream_view() or None,
        "responseHeaders": dict(judged.answer_headers()),
    }


def _parse_headers(written: Sequence[str]) -> Iterator[tuple[str, str]]:
    for header in written:
        name, colon, value = header.partition(":")
        if not colon or not name.strip():
            raise RequestError(f"{header!r} is no header: write 'name: value'.")
        yield name.strip(), value.strip()


def _length(headers: Sequence[tuple[str, str]]) -> int:
    """Of the body that the headers announce."""
    written = next((value for name, value in headers if name.lower() == "content-length"), "0")
    if not (written.isascii() and written.isdecimal() and len(written) <= _LONGEST_LENGTH):
        raise RequestError(f"content-length {written!r} is no number of bytes.")
    return int(written)


def _lines(told: dict[str, Any]) -> Iterator[str]:
    yield _verdict(told)
    for name in ("route", "rule", "tenant", "subject", "shard"):
        if told[name]:
            yield f"  {name:<9} {told[name]}"
    for candidate in told["upstreams"]:
        yield f"  upstream  {candidate['upstream'] or 'none (500)'} {candidate['share']:.0%}"
        if candidate["zones"]:
            yield from (f"            {line}" for line in zone_lines(candidate["zones"]))
    seen = told["upstreamRequest"]
    if seen:
        yield f"  it sees   {seen['method']} {seen['path']}, host {seen['host']}"
    yield from (f"  answer    {name}: {value}" for name, value in told["responseHeaders"].items())
    yield ""
    for number, stage in enumerate(told["stages"], 1):
        yield from _stage(number, stage)
    if told["remedy"]:
        yield f"\nRemedy: {told['remedy']}"


def _verdict(told: dict[str, Any]) -> str:
    if told["verdict"] == "refused":
        return f"refused with {told['status']}: {told['title']} ({told['reason']})"
    return f"allowed, {told['becomes']}"


def _stage(number: int, stage: dict[str, Any]) -> Iterator[str]:
    placement = f"{stage['placement']}: {stage['why']}" if stage["placement"] else ""
    yield f"{number} {stage['stage']:<14} {stage['verdict']:<9} {placement}".rstrip()
    for finding in stage["findings"]:
        about = " ".join(filter(None, (finding["object"], finding["field"])))
        yield f"    {about}: {finding['detail']}" if about else f"    {finding['detail']}"
    for miss in stage["nearMisses"]:
        got = miss["got"] or "nothing"
        yield f"    near miss: {miss['object']} {miss['field']}: wanted {miss['expected']}, got {got}"
