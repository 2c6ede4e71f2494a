"""Answers compressed for clients that take it."""

import gzip
import itertools

import brotli
import pytest
import zstandard

from support.client import Response
from support.gateway import Gateway
from support.origin import Received, Reply
from support.resources import edge, route, rule

TEXT = "all work and no play " * 200
DECODERS = {
    "gzip": gzip.decompress,
    "br": brotli.decompress,
    "zstd": lambda content: zstandard.ZstdDecompressor().decompressobj().decompress(content),
    None: bytes,
}


def serve(gateway: Gateway, content_type: str = "text/plain", text: str = TEXT, **compression: object) -> None:
    def answer(_: Received) -> Reply:
        return Reply(body=text, headers=(("content-type", content_type), ("etag", '"1"')))

    gateway.upstream("books", answer)
    gateway.apply(edge(gateway.port, compression=compression), route("books", rule(to="books")))


def coding(answer: Response, text: str = TEXT) -> str | None:
    """The answer's coding, once its content has been seen to be right."""
    found = answer.header("content-encoding")
    assert DECODERS[found](answer.content).decode() == text
    return found


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        ("gzip", "gzip"),
        ("br", "br"),
        ("zstd", "zstd"),
        ("gzip, br, zstd", "br"),
        ("gzip;q=1, br;q=0.5", "gzip"),
        ("deflate", None),
        ("identity", None),
        ("", None),
        (None, None),
    ],
)
def test_the_client_chooses_and_then_the_edge(gateway: Gateway, accepted: str | None, expected: str | None) -> None:
    serve(gateway, algorithms=["br", "zstd", "gzip"])
    answer = gateway.get(headers={} if accepted is None else {"accept-encoding": accepted})
    assert coding(answer) == expected
    if expected is not None:
        assert "accept-encoding" in str(answer.header("vary")).lower()
        assert len(answer.content) < len(TEXT) / 4


def test_the_order_is_the_edges_own(gateway: Gateway) -> None:
    for preferred, other in itertools.permutations(("br", "zstd", "gzip"), 2):
        serve(gateway, algorithms=[preferred, other])
        assert coding(gateway.get(headers={"accept-encoding": "gzip, br, zstd"})) == preferred


def test_short_answers_and_other_media_types_go_as_they_are(gateway: Gateway) -> None:
    serve(gateway, minBytes=1000, text="x" * 999)
    assert coding(gateway.get(headers={"accept-encoding": "gzip"}), "x" * 999) is None


@pytest.mark.parametrize(
    ("content_type", "listed", "expected"),
    [
        ("image/png", [], None),
        ("application/json", [], "gzip"),
        ("application/json; charset=utf-8", [], "gzip"),
        ("application/json", ["text/plain"], None),
        ("image/png", ["image/png"], "gzip"),
    ],
)
def test_media_types_say_what_is_worth_it(
    gateway: Gateway, content_type: str, listed: list[str], expected: str | None
) -> None:
    serve(gateway, content_type, contentTypes=listed)
    assert coding(gateway.get(headers={"accept-encoding": "gzip"})) == expected


def test_without_the_setting_nothing_is_compressed(gateway: Gateway) -> None:
    gateway.upstream("books", lambda _: Reply(body=TEXT))
    gateway.apply(route("books", rule(to="books")))
    assert coding(gateway.get(headers={"accept-encoding": "gzip, br"})) is None
