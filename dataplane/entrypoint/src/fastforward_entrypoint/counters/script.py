"""The script that Redis runs: what goes to it and what comes back.

In: the buckets of some requests. Out: keys and arguments for take.lua; and, from its answer, their verdicts.
"""

import hashlib
from collections.abc import Sequence
from importlib import resources
from typing import NamedTuple

from fastforward_pipeline.effects import UNASKED, Bucket, GiveBack, Level, Slots, TakeTokens, Verdict

SOURCE = resources.files("fastforward_entrypoint.counters").joinpath("take.lua").read_text(encoding="utf-8")
SHA = hashlib.sha1(SOURCE.encode(), usedforsecurity=False).hexdigest()
KEY_PREFIX = "ff:"
USED_PREFIX = "ff:used:"
"""Of quotas: what is kept there is what was used, and under KEY_PREFIX what is left."""
_OWED = "-1e308"
"""As the script reads UNASKED."""


class Asked(NamedTuple):
    """What one request asks, and by what name it takes places."""

    effect: TakeTokens
    holder: str


def pack(asked: Sequence[Asked]) -> tuple[list[str], list[str]]:
    """Returns the script's keys and arguments."""
    keys: list[str] = []
    arguments: list[str] = []
    for effect, holder in asked:
        arguments.append(str(len(effect.buckets)))
        for bucket in effect.buckets:
            keys.append(_prefix(bucket) + bucket.key)
            arguments += _words(bucket, holder)
    return keys, arguments


def _prefix(bucket: Bucket | Slots | GiveBack) -> str:
    return USED_PREFIX if isinstance(bucket, Bucket) and not bucket.requests else KEY_PREFIX


def _words(bucket: Bucket | Slots | GiveBack, holder: str) -> tuple[str, ...]:
    if isinstance(bucket, GiveBack):
        return "back", "", "", "", "", bucket.holder, ""
    shadow = "1" if bucket.shadow else "0"
    if isinstance(bucket, Slots):
        return "places", str(bucket.most), str(bucket.lease_ms), "", shadow, holder, ""
    tokens_a_microsecond = bucket.requests / (bucket.window_ms * 1000.0)
    least = _OWED if bucket.least == UNASKED else repr(bucket.least)
    return (
        "bucket",
        str(bucket.burst),
        repr(tokens_a_microsecond),
        str(bucket.window_ms),
        shadow,
        repr(bucket.cost),
        least,
    )


def unpack(asked: Sequence[Asked], answer: bytes) -> list[Verdict]:
    """Returns a verdict for each request. Raises ValueError when the answer is not that of the script."""
    texts = answer.decode("ascii").split()
    if len(texts) != sum(len(effect.buckets) for effect, _ in asked):
        raise ValueError("the answer has not a level for each bucket")
    rest = iter(texts)
    return [Verdict(tuple(_level(next(rest)) for _ in effect.buckets), holder) for effect, holder in asked]


def _level(text: str) -> Level:
    return Level(refused=text.startswith("!"), tokens=float(text.removeprefix("!")))
