"""Which rule a request takes."""

import pytest

from support.decision_snapshots import EXACT, REGEX, ask, decided, host, plan, snapshot, split, text


def test_the_longest_prefix_takes_the_request() -> None:
    world = snapshot(host(plan("books", "/books"), plan("all", "/")))
    assert decided(world, ask("/books/1?x=/")).route == "shop/books"
    assert decided(world, ask("/bookshop")).route == "shop/all"


def test_a_weighted_split_shows_each_upstream_and_its_share() -> None:
    world = snapshot(host(plan("a", upstreams=split(("shop/new", 1), ("shop/old", 3)))))
    found = decided(world, ask())
    assert [(c.upstream, c.share) for c in found.candidates] == [("shop/new", 0.25), ("shop/old", 0.75)]
