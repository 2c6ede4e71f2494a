"""What is said while something is wrong: Envoy refuses a resource, an Envoy is frozen.

In: a Scene. Out: what was said, and what of it was not true. Called by truth.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from perf.changes.worlds import answer
from perf.truth.world import ENVOYS, Change
from support.refusing import BREAK

if TYPE_CHECKING:
    from perf.truth.benchmark import Scene

_TOLD_S, _BACK_S = 10.0, 60.0
_SAME = 80
"""So many characters must be the same in Envoy's log."""
_FROZEN = ENVOYS[1]


@dataclass(slots=True)
class Refused:
    """What became of refusals."""

    refusals: int = 0
    wrong: list[str] = field(default_factory=list)
    """What was not told, or not as it is."""
    told_ms: list[float] = field(default_factory=list)
    """From the changed file until it was told."""


@dataclass(slots=True)
class Frozen:
    """What was said while an Envoy was frozen."""

    freezes: int = 0
    wrong: list[str] = field(default_factory=list)
    given_up_s: list[float] = field(default_factory=list)
    """From the change until it was said to be programmed, without the frozen one."""
    back_s: list[float] = field(default_factory=list)
    """From when it was let go until it counted again."""


async def refuse(running: Scene, count: int) -> Refused:
    """A route is refused again and again, and mended in between; another one changes beside it each time."""
    found = Refused(refusals=count)
    bad, beside = running.world.probes[0], running.world.probes[1]
    good = answer(bad, 0)
    for number in range(count):
        broken, neighbour = Change(bad, 2 * number + 1), Change(beside, 2 * number + 1)
        began = time.perf_counter()
        running.replace(broken, running.world.route(bad, broken.version).replace(answer(bad, broken.version), BREAK))
        try:
            await running.said.until(lambda wanted=broken.version + 1: _refused(running, wanted) != "", _TOLD_S)
        except TimeoutError:
            found.wrong.append(f"refusal {number} was not told in {_TOLD_S:g} s")
            continue
        found.told_ms.append((time.perf_counter() - began) * 1e3)
        words = _refused(running, broken.version + 1)
        if not any(f"{envoy} refused it: " in words for envoy in ENVOYS):
            found.wrong.append(f"not in Envoy's own words: {words}")
        # What Envoy said of it is in its log as well.
        if not any(_in_log(running, words, envoy) for envoy in ENVOYS):
            found.wrong.append(f"no Envoy said so: {words}")
        for line in running.witness.judges:
            if (body := await line.body(bad.request)) != good:
                found.wrong.append(f"{line.envoy} lost the last good version: {body}")
        await running.witness.watch([neighbour], running.write)
        mended = Change(bad, broken.version + 1)
        await running.witness.watch([mended, Change(beside, neighbour.version + 1)], running.write)
        good = answer(bad, mended.version)
    found.wrong += running.witness.lies
    return found


def _refused(running: Scene, generation: int) -> str:
    """What is said of the refusal of this generation; nothing while there is none."""
    for each in running.said.conditions("Route", "r0"):
        if each["type"] == "Programmed" and each["observedGeneration"] == generation and each["status"] == "False":
            return str(each["message"])
    return ""


def _in_log(running: Scene, words: str, envoy: str) -> bool:
    """Whether Envoy wrote what it is said to have said; of the blanks only that there are some."""
    said = " ".join(words.partition(f"{envoy} refused it: ")[2].split())
    return bool(said) and said[:_SAME] in " ".join(running.gateway.log(envoy).split())


async def freeze(running: Scene, count: int) -> Frozen:
    """One of three is stopped where it stands, a route changes, and it is let go when the others count alone."""
    found = Frozen(freezes=count)
    probe = running.world.probes[-1]
    name = f"r{probe.number}"
    pid = running.gateway.pid(_FROZEN)
    witness, lies = running.witness, len(running.witness.lies)
    first = running.said.programmed("Route", name)
    for number in range(count):
        change = Change(probe, first + number)
        os.kill(pid, signal.SIGSTOP)
        try:
            witness.frozen.add(_FROZEN)
            began = time.perf_counter()
            # Says that it is programmed only when two count: the witness looks at that as well.
            await witness.watch([change], running.write)
            found.given_up_s.append(round(time.perf_counter() - began, 2))
        finally:
            os.kill(pid, signal.SIGCONT)
        began = time.perf_counter()
        await running.said.until_counted("Route", [name], len(ENVOYS), _BACK_S)
        found.back_s.append(round(time.perf_counter() - began, 2))
        witness.frozen.clear()
        bodies = [(line, await line.body(probe.request)) for line in witness.judges]
        wrong = {line.envoy for line, body in bodies if body != answer(probe, change.version)}
        if wrong:
            found.wrong.append(f"counted again with what was before: {', '.join(sorted(wrong))}")
        await asyncio.sleep(0.2)
    found.wrong += witness.lies[lies:]
    return found
