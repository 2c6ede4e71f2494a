"""The verdict on one object: what the compiler would say of it, in the world as this replica knows it.

In: `Asked`. Out: `Answer`. Called by server for each review. Refused is what no other object can mend by coming or
going, and only when it was not wrong before; the rest is a warning, and the status says it too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any

import fastforward_crds as crds
from fastforward_compiler import Judgement, object_ref
from fastforward_compiler.problem import ObjectRef, Problem, Reason, is_refused

from .review import Answer, Asked, ReviewError

AGAIN_S = 0.25
"""What others say may be on its way to this replica: a refusal for their sake is looked at again after so long."""
_BY_ITSELF = frozenset({Reason.INVALID, Reason.EXPRESSION_INVALID, Reason.REGEX_INVALID})
_PARTLY = "It concerns so many others that only some were looked at: see the statuses."
_UNKNOWN = "This version of FastForward does not know the kind: it was not judged."

Ask = Callable[[ObjectRef, crds.Resource | crds.Invalid], Awaitable[Judgement]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """`ask` is the reconciler's, in whatever thread it runs."""

    ask: Ask
    namespaces: Collection[str] = ()
    """Those that are watched; all, when empty."""
    again_s: float = AGAIN_S

    async def answer(self, asked: Asked) -> Answer:
        """The verdict. Raises ReviewError for an object that is not the one that was asked about."""
        if not asked.kind:
            return Answer(remarks=(_UNKNOWN,))
        if not asked.to_be_judged or (self.namespaces and asked.namespace not in self.namespaces):
            return Answer()
        candidate = crds.parse_resource(_document(asked))
        ref = object_ref(candidate)
        if (ref.kind, ref.namespace) != (asked.kind, asked.namespace):
            raise ReviewError("The object is not the one that the request is about.")
        found = _answer(await self.ask(ref, candidate))
        if any(each.reason not in _BY_ITSELF for each in found.refused):
            await asyncio.sleep(self.again_s)
            found = _answer(await self.ask(ref, candidate))
        return found


def _document(asked: Asked) -> dict[str, Any]:
    """The object. One that is not there yet is younger than all others, also than one of the same second."""
    document = dict(asked.new or {})
    metadata = document.get("metadata")
    if asked.operation == "CREATE" and isinstance(metadata, dict):
        document["metadata"] = {name: value for name, value in metadata.items() if name != "creationTimestamp"}
    return document


def _answer(judgement: Judgement) -> Answer:
    before = set(judgement.before)
    refused = tuple(each for each in judgement.problems if is_refused(each) and each not in before)
    warned: tuple[Problem, ...] = tuple(each for each in judgement.problems if each not in refused)
    return Answer(refused=refused, warned=warned, remarks=() if judgement.complete else (_PARTLY,))
