"""What `ff explain request` says, for the page: by the same command, in a process of its own.

In: a request as somebody typed it, and the published snapshot. Out: JSON. Called by api. A process, because the
evaluator is the data plane's and stays out of the operator, because reading ten thousand rules would hold up every
change meanwhile, and because it ends when its time is over. What is typed goes through a pipe: a token is in no list of
arguments.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from typing import NamedTuple, Self

import structlog

_log = structlog.get_logger(__name__)

HEADER_LINES = "ff-explain-headers"
"""Header with the header lines in question, as JSON: what proves who somebody is belongs into no URL."""
_COMMAND = (sys.executable, "-P", "-m", "fastforward_operator.cli.explanation")
_DEADLINE_S = 45.0


class ExplanationError(Exception):
    """Why there is no explanation; `status` is that of the answer."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Question(NamedTuple):
    """The request, as it was typed."""

    method: str
    url: str
    headers: tuple[str, ...]
    address: str
    listener: str

    @classmethod
    def read(cls, query: Mapping[str, str], lines: str) -> Self:
        """From a query and the JSON of the header lines; raises ExplanationError."""
        try:
            headers = json.loads(lines)
        except ValueError:
            headers = None
        if not isinstance(headers, list) or not all(isinstance(line, str) for line in headers):
            raise ExplanationError(400, f"{HEADER_LINES} is no list of texts such as 'name: value' in JSON.")
        return cls(
            method=query.get("method", "GET"),
            url=query.get("url", ""),
            headers=tuple(headers),
            address=query.get("address", "127.0.0.1"),
            listener=query.get("listener", ""),
        )


class Explainer:
    """One an API: one explanation at a time, so that nobody who asks often takes the processor from the operator."""

    def __init__(self, deadline_s: float = _DEADLINE_S) -> None:
        self._deadline_s = deadline_s
        self._turn = asyncio.Semaphore(1)

    async def explain(self, question: Question, snapshot: Callable[[], bytes]) -> bytes:
        """JSON with `explanation` and `notes`; `snapshot` is called in a thread. Raises ExplanationError."""
        try:
            async with asyncio.timeout(self._deadline_s), self._turn:
                resources = await asyncio.to_thread(snapshot)
                answer = await _ask(json.dumps(question._asdict()).encode() + b"\n" + resources)
        except TimeoutError:
            why = f"There was no explanation within {self._deadline_s:g} seconds: ask again, or `ff explain request`."
            raise ExplanationError(503, why) from None
        if mistake := json.loads(answer).get("mistake"):
            raise ExplanationError(400, mistake)
        return answer


async def _ask(asked: bytes) -> bytes:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*_COMMAND, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        answer, complaint = await process.communicate(asked)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        _log.error("explanation failed", code=process.returncode, complaint=complaint.decode(errors="replace")[-2000:])
        raise ExplanationError(500, "The explanation failed, which is a defect of ours; the operator's log has it.")
    return answer
