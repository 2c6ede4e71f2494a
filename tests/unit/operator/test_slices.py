"""Much work in slices, one each time round the event loop."""

import asyncio

from fastforward_operator.slices import SLICE, in_slices


async def test_the_first_slice_is_done_at_once_and_others_when_the_loop_comes_round() -> None:
    done: list[int] = []
    in_slices(done.extend, range(3 * SLICE + 1))
    counts = [len(done)]
    while len(done) < 3 * SLICE + 1:
        await asyncio.sleep(0)
        counts.append(len(done))
    assert counts == [SLICE, 2 * SLICE, 3 * SLICE, 3 * SLICE + 1]
    assert done == list(range(3 * SLICE + 1))


def test_a_single_slice_needs_no_loop() -> None:
    done: list[str] = []
    in_slices(done.extend, ("a", "b"))
    in_slices(done.extend, ())
    assert done == ["a", "b"]
