"""What is left to do when a request has ended: take what its answer cost, give back its place.

In: what the stage ratelimit took. Out: Ends, and the text by which the proxy keeps them while the request is under way:
`c KEY BURST REQUESTS WINDOW SOURCE OTHERWISE` and `p KEY HOLDER`, with commas between the words and semicolons between
the parts. Called by the stage and by EntryPoint. Neither keys nor names of headers hold either sign.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .effects import UNASKED, Bucket, GiveBack, TakeTokens

_CHARGE, _PLACE = "c", "p"
_SUCCESS = range(200, 300)


@dataclass(frozen=True, slots=True)
class Charge:
    """What an answer costs goes to a bucket."""

    bucket: Bucket
    source: str
    """Where the answer tells: a path in JSON, or `header:NAME`."""
    otherwise: int
    """Of a successful one that does not tell."""

    def cost(self, status: int, told: Mapping[str, float]) -> float:
        """Returns the cost of an answer with this status; what is told counts in any case."""
        cost = told.get(self.source)
        if cost is not None:
            return cost
        return float(self.otherwise) if status in _SUCCESS else 0.0


End = Charge | GiveBack


def settle_ends(ends: Iterable[End], status: int, told: Mapping[str, float]) -> TakeTokens:
    """Returns what is to be taken and given back when a request has ended so; `status` is 0 without an answer."""
    done: list[Bucket | GiveBack] = []
    for end in ends:
        if isinstance(end, GiveBack):
            done.append(end)
            continue
        cost, owed = end.cost(status, told), end.bucket
        if cost > 0:
            bucket = Bucket(owed.key, owed.burst, owed.requests, owed.window_ms, cost=cost, least=UNASKED)
            done.append(bucket)
    return TakeTokens(tuple(done))


def give_back(ends: Iterable[End]) -> TakeTokens:
    """Returns what is to be given back when a request goes nowhere."""
    return TakeTokens(tuple(end for end in ends if isinstance(end, GiveBack)))


def write_ends(ends: Iterable[End]) -> str:
    """Returns the text."""
    return ";".join(",".join(map(str, _words(end))) for end in ends)


def _words(end: End) -> tuple[object, ...]:
    if isinstance(end, GiveBack):
        return _PLACE, end.key, end.holder
    bucket = end.bucket
    return _CHARGE, bucket.key, bucket.burst, bucket.requests, bucket.window_ms, end.source, end.otherwise


def read_ends(text: str) -> tuple[End, ...]:
    """Returns what the text says. Raises ValueError for one that was not written here."""
    return tuple(map(_read, text.split(";")))


def _read(part: str) -> End:
    match part.split(","):
        case [kind, key, holder] if kind == _PLACE:
            return GiveBack(key, holder)
        case [kind, key, burst, requests, window_ms, source, otherwise] if kind == _CHARGE:
            return Charge(Bucket(key, int(burst), int(requests), int(window_ms)), source, int(otherwise))
        case _:
            raise ValueError(f"{part!r} says nothing of an end")
