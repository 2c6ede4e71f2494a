"""What processes use: processor time and memory, as the kernel counts it. Called by benchmarks."""

from __future__ import annotations

from collections.abc import Iterable

import psutil


def processor_s(pids: Iterable[int]) -> float:
    """Seconds of processor time that these processes and their children have used; steps of 10 ms."""
    return sum(each.cpu_times().user + each.cpu_times().system for each in _with_children(pids))


def memory_mib(pids: Iterable[int]) -> float:
    """Proportional set size (shared pages are split among those that share them) of these and their children."""
    return round(sum(each.memory_full_info().pss for each in _with_children(pids)) / 2**20, 1)


def _with_children(pids: Iterable[int]) -> list[psutil.Process]:
    roots = [psutil.Process(pid) for pid in pids]
    return [*roots, *(child for root in roots for child in root.children(recursive=True))]
