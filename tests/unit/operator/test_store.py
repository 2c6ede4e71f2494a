"""What is kept small comes out as it went in."""

from fastforward_operator.xds import wire
from fastforward_operator.xds.store import ROUTE, SNAPSHOT, Key, Put, Store
from hypothesis import given, settings
from hypothesis import strategies as st

BODIES = st.lists(st.one_of(st.binary(max_size=400), st.integers(0, 99).map(lambda n: b"%d " % n * 60)), min_size=1)


@settings(deadline=None)
@given(BODIES, st.sampled_from([ROUTE, SNAPSHOT]))
def test_every_resource_is_sent_as_it_was_published(bodies: list[bytes], type_url: str) -> None:
    store = Store()
    wires = {f"table/{n}": wire.envoy_entry(type_url, str(n), "1", body) for n, body in enumerate(bodies)}
    store.put((Put(key=Key(type_url, name), version="1", wire=each) for name, each in wires.items()), 1)
    assert {name: entry.wire for name, entry in store.of_type(type_url).items()} == wires


def test_what_is_like_the_first_of_its_kind_is_kept_as_the_difference() -> None:
    store = Store()
    body = bytes(range(256)) * 4
    for name in "abc":
        store.put([Put(key=Key(ROUTE, name), version="1", wire=wire.envoy_entry(ROUTE, name, "1", body))], 1)
    first, *others = store.of_type(ROUTE).values()
    assert first.like is None
    assert all(each.like is first.kept and len(each.kept) < 100 for each in others)
    assert [wire.entry_content(each.wire)[-1:] for each in (first, *others)] == [b"a", b"b", b"c"]
