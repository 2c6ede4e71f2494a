"""Room that dictionaries and sets keep when they are empty."""

import sys

from fastforward_operator.room import give_room_back


def test_what_is_empty_gives_its_room_back_and_what_is_not_keeps_all() -> None:
    emptied = dict.fromkeys(range(10_000))
    for key in tuple(emptied):
        del emptied[key]
    kept, small = {1, 2}, sys.getsizeof({})
    assert sys.getsizeof(emptied) > 10 * small
    give_room_back(emptied, kept)
    assert sys.getsizeof(emptied) <= small
    assert kept == {1, 2}
