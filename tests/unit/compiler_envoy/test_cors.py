"""Cross-origin settings as the proxy gets them."""

from __future__ import annotations

import re

import pytest
from fastforward_compiler import ir
from fastforward_compiler.emit.envoy.cors import emit_cors, origin


@pytest.mark.parametrize(
    ("asking", "fits"),
    [
        ("https://www.shop.test", True),
        ("https://a.b.shop.test", True),
        ("https://.shop.test", False),
        ("https://shop.test", False),
        ("https://evil.test/x.shop.test", False),
        ("https://wwwXshop.test", False),
    ],
)
def test_a_star_in_an_origin_stands_for_one_or_more_labels(asking: str, fits: bool) -> None:
    pattern = origin("https://*.shop.test").safe_regex.regex
    assert bool(re.fullmatch(pattern, asking)) is fits


@pytest.mark.parametrize("text", ["*", "https://shop.test"])
def test_an_origin_without_a_star_inside_is_compared_as_it_stands(text: str) -> None:
    assert origin(text).exact == text


def test_lists_are_joined_and_ages_are_in_seconds() -> None:
    made = emit_cors(
        ir.Cors(
            allow_origins=("https://a.test",),
            allow_methods=("GET", "PUT"),
            allow_headers=("x-a", "x-b"),
            expose_headers=("x-c", "x-d"),
            max_age_ms=2_000_000,
            allow_credentials=True,
        )
    )
    assert (made.allow_methods, made.allow_headers, made.expose_headers) == ("GET, PUT", "x-a, x-b", "x-c, x-d")
    assert (made.max_age, made.allow_credentials.value) == ("2000", True)
