"""A multimap is what a dict of sets would be."""

from collections import defaultdict

from fastforward_operator.multimap import Multimap
from hypothesis import given, settings
from hypothesis import strategies as st

STEPS = st.lists(st.tuples(st.sampled_from(["add", "add to", "discard", "pop"]), st.integers(0, 2), st.integers(0, 9)))


@settings(deadline=None)
@given(STEPS)
def test_it_holds_what_a_dict_of_sets_holds(steps: list[tuple[str, int, int]]) -> None:
    found: Multimap[int, int] = Multimap()
    model: defaultdict[int, set[int]] = defaultdict(set)
    for step, key, value in steps:
        if step == "add":
            found.add(key, value)
            model[key].add(value)
        elif step == "add to":
            found.add_to((key, key + 1), value)
            for each in (key, key + 1):
                model[each].add(value)
        elif step == "discard":
            found.discard(key, value)
            model[key].discard(value)
        else:
            found.pop(key)
            model[key].clear()
        for each in (key, key + 1):
            assert sorted(found.get(each)) == sorted(model[each])
            assert (each in found) == bool(model[each])
