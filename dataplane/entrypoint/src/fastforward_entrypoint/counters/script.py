"""The script that Redis runs: what goes to it and what comes back.

In: the buckets of some requests. Out: keys and arguments for take.lua; and, from its answer, their verdicts.
"""

import hashlib
from collections.abc import Sequence
from importlib import resources

from fastforward_pipeline.effects import Level, TakeTokens, Verdict

SOURCE = resources.files("fastforward_entrypoint.counters").joinpath("take.lua").read_text(encoding="utf-8")
SHA = hashlib.sha1(SOURCE.encode(), usedforsecurity=False).hexdigest()
KEY_PREFIX = "ff:"


def pack(effects: Sequence[TakeTokens]) -> tuple[list[str], list[str]]:
    """Returns the script's keys and arguments."""
    keys: list[str] = []
    arguments: list[str] = []
    for effect in effects:
        arguments.append(str(len(effect.buckets)))
        for bucket in effect.buckets:
            keys.append(KEY_PREFIX + bucket.key)
            tokens_a_microsecond = bucket.requests / (bucket.window_ms * 1000.0)
            shadow, kept_ms = "1" if bucket.shadow else "0", str(bucket.window_ms)
            arguments += (str(bucket.burst), repr(tokens_a_microsecond), shadow, kept_ms)
    return keys, arguments


def unpack(effects: Sequence[TakeTokens], answer: bytes) -> list[Verdict]:
    """Returns a verdict for each request. Raises ValueError when the answer is not that of the script."""
    texts = answer.decode("ascii").split()
    if len(texts) != sum(len(effect.buckets) for effect in effects):
        raise ValueError("the answer has not a level for each bucket")
    rest = iter(texts)
    return [Verdict(tuple(_level(next(rest)) for _ in effect.buckets)) for effect in effects]


def _level(text: str) -> Level:
    return Level(refused=text.startswith("-"), tokens=float(text.removeprefix("-")))
