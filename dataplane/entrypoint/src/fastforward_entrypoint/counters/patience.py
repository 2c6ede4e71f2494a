"""Asks once more where no place was free: the end of the request before may be on its way.

In: what a request takes. Out: the answer, at once unless places are short. Called by the endpoint for each request. A
client that sends one request after another has its answer before the proxy has told of its end, by a millisecond or so:
without a second try it would be refused what is its own.
"""

from __future__ import annotations

import asyncio

from fastforward_pipeline.effects import Answer, Slots, TakeTokens, Verdict

from fastforward_entrypoint.counters.port import CounterStore

WAIT_S = 0.02


def take_patiently(store: CounterStore, effect: TakeTokens) -> Answer | asyncio.Future[Answer]:
    """Returns the answer of the store, asked again after WAIT_S where places alone were short."""
    answer = store.take(effect)
    if not any(isinstance(bucket, Slots) for bucket in effect.buckets):
        return answer
    if isinstance(answer, asyncio.Future) or _is_short(effect, answer):
        return asyncio.ensure_future(_take_again(store, effect, answer))
    return answer


async def _take_again(store: CounterStore, effect: TakeTokens, answer: Answer | asyncio.Future[Answer]) -> Answer:
    found = await answer if isinstance(answer, asyncio.Future) else answer
    if not _is_short(effect, found):
        return found
    await asyncio.sleep(WAIT_S)
    again = store.take(effect)
    return await again if isinstance(again, asyncio.Future) else again


def _is_short(effect: TakeTokens, answer: Answer) -> bool:
    """Whether places refuse the request, and nothing else does."""
    if not isinstance(answer, Verdict):
        return False
    pairs = zip(effect.buckets, answer.levels, strict=True)
    refusing = [bucket for bucket, level in pairs if level.refused and not getattr(bucket, "shadow", False)]
    return bool(refusing) and all(isinstance(bucket, Slots) for bucket in refusing)
