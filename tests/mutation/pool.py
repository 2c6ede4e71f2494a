"""Work in forked processes: what it breaks ends with it.

In: tasks and what to do with each. Out: what came of each, in the order of their ends. Called by `covering`, `trial`.
Why it exists: importing pytest, pydantic and Envoy's messages costs seconds, a fork of a process that has them nothing.
A child's share is counted in CPU time, so that a busy machine kills no mutant.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Task = TypeVar("Task")
_WALL_SECONDS = 1200.0
_MEMORY = 6 << 30
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG, prctl(2)


@dataclass(frozen=True, slots=True, kw_only=True)
class End(Generic[Task]):
    """How the work on a task ended; `value` is what it returned, unless it was `cut` off or raised (`error`)."""

    task: Task
    value: Any = None
    cut: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Child(Generic[Task]):
    task: Task
    answer: int
    """A descriptor of a file in memory; a file object would be missed by the children that inherit it."""
    deadline: float


def run_forked(
    tasks: Iterable[Task],
    work: Callable[[Task], object],
    *,
    jobs: int,
    cpu_seconds: Callable[[Task], float] = lambda _: 3600.0,
    nested: bool = False,
) -> Iterator[End[Task]]:
    """Yields the end of each task. What `work` returns goes through JSON.

    What a child leaves running (a test's Envoy) ends with the child; where `nested` in another child, with that one.
    """
    waiting, running = iter(tasks), dict[int, _Child[Task]]()
    try:
        for task in waiting:
            pid, child = _start(task, work, cpu_seconds(task), nested=nested)
            running[pid] = child
            while len(running) >= jobs:
                yield from _reap(running, nested=nested)
        while running:
            yield from _reap(running, nested=nested)
    finally:
        for pid in running:
            _end(pid, nested=nested)


def _start(task: Task, work: Callable[[Task], object], cpu_seconds: float, *, nested: bool) -> tuple[int, _Child[Task]]:
    answer = os.memfd_create("answer")
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        if not nested:
            os.setpgid(0, 0)
        _be_child(task, work, cpu_seconds, answer)
    return pid, _Child(task=task, answer=answer, deadline=time.monotonic() + _WALL_SECONDS)


def _be_child(task: Task, work: Callable[[Task], object], cpu_seconds: float, answer: int) -> None:
    try:
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        silence = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(silence, stream)
        limit = int(cpu_seconds) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        said = {"value": work(task)}
    except BaseException:  # noqa: BLE001  # a child answers, whatever happens to it
        said = {"error": traceback.format_exc()}
    with suppress(BaseException):
        os.pwrite(answer, json.dumps(said).encode(), 0)
    os._exit(0)


def _reap(running: dict[int, _Child[Task]], *, nested: bool) -> Iterator[End[Task]]:
    for pid, child in list(running.items()):
        # Left unreaped until all of its group is ended, so that nobody else gets its number.
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        late = time.monotonic() > child.deadline
        if not ended and not late:
            continue
        _end(pid, nested=nested)
        _, status = os.waitpid(pid, 0)
        del running[pid]
        text = os.pread(child.answer, os.fstat(child.answer).st_size, 0)
        os.close(child.answer)
        cut = late or os.WIFSIGNALED(status) or not text
        yield End(task=child.task, cut=cut, **({} if cut else json.loads(text)))
        return
    time.sleep(0.02)


def _end(pid: int, *, nested: bool) -> None:
    with suppress(ProcessLookupError, PermissionError):
        if nested:
            os.kill(pid, signal.SIGKILL)
        else:
            os.killpg(pid, signal.SIGKILL)
