"""What is said of an object, as values. Made by status; read by all who hand it on."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from fastforward_compiler import ir
from fastforward_compiler.problem import ObjectRef, Problem

from .providers import Source

_ALIKE = 64
MAX_MESSAGE = 1024
"""Of a condition; the API server takes no more than thirty times as much."""
NOTHING = "Nothing had to be programmed for it."
"""Message of a Programmed that is True because nobody needs anything of the object."""
_HAVE_IT = " proxies have it."


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One statement (KEP-1623)."""

    type: str
    status: str
    """True, False or Unknown."""
    reason: str
    message: str
    observed_generation: int
    since: datetime
    """When `status` became what it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectStatus:
    """All that is said of one object."""

    ref: ObjectRef
    generation: int
    source: Source | None
    conditions: tuple[Condition, ...]
    problems: tuple[Problem, ...]
    effective: tuple[str, ...]
    parts: tuple[ir.Part, ...] = ()
    """Listeners of a Gateway, parents of a route."""
    addresses: tuple[str, ...] = ()
    attached_sets: int = 0


@lru_cache(maxsize=_ALIKE)
def condition(kind: str, status: str, reason: str, message: str, generation: int, since: datetime) -> Condition:
    """One that is held once where objects that are judged together say the same."""
    return Condition(
        type=kind, status=status, reason=reason, message=message, observed_generation=generation, since=since
    )


def with_count(status: ObjectStatus, proxies: tuple[int, int]) -> ObjectStatus:
    """As told to readers: where all is well, the message is how many proxies have it, of how many that need it."""
    message = f"{count_told(proxies)}{_HAVE_IT}" if proxies[1] else "No proxy needs it."
    conditions = tuple(
        dataclasses.replace(each, message=message)
        if each.type == "Programmed" and each.status == "True" and not each.message
        else each
        for each in status.conditions
    )
    return dataclasses.replace(status, conditions=conditions)


def count_told(proxies: tuple[int, int]) -> str:
    """As the column PROXIES has it."""
    return f"{proxies[0]}/{proxies[1]}"


def read_count(told: str) -> tuple[int, int]:
    """What count_told made, alone or in a message; none of none for a message that says something else."""
    have, _, of = told.removesuffix(_HAVE_IT).partition("/")
    return (int(have), int(of)) if have.isdecimal() and of.isdecimal() else (0, 0)
