"""The script that reads what answers cost: which number it takes, however the answer comes in parts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import lupa.luajit21
import pytest
from fastforward_compiler import ir
from fastforward_compiler.emit.envoy.cost import COST, COST_SOURCE, emit_cost, reads_bodies

from support.ir_values import limit

ANSWER = {
    "id": "chatcmpl-1",
    "choices": [
        {"message": {"content": 'say \\ "usage": {"total_tokens": 5}, \u20ac\n', "usage": {"total_tokens": 6}}}
    ],
    "n": [1, -2.5, 3e4, {"total_tokens": 8}],
    "usage": {"prompt_tokens": 7, "details": {"total_tokens": 9}, "total_tokens": 42, "ratio": 0.5},
    "last": {"usage": {"total_tokens": 77}},
}
PATHS = "usage.total_tokens usage.prompt_tokens usage.ratio"
FOUND = {"usage.total_tokens": 42, "usage.prompt_tokens": 7, "usage.ratio": 0.5}


def read(parts: list[bytes], *, paths: str = PATHS, headers: str = "", **answer: str) -> dict[str, float]:
    """What the script tells of an answer whose body comes in these parts."""
    lua = lupa.luajit21.LuaRuntime(encoding=None)
    run = lua.execute(COST_SOURCE.encode() + _HARNESS)
    told: dict[bytes, float] = {}
    given = {name.replace("_", "-").encode(): value.encode() for name, value in answer.items()}
    run(
        {b"paths": paths.encode(), b"headers": headers.encode()}.get,
        given.get,
        lua.table_from(parts),
        told.__setitem__,
    )
    assert told.pop(b"read") == 1
    return {name.decode(): units for name, units in told.items()}


_HARNESS = b"""
return function(context, header, parts, tell)
  local metadata = {
    get = function() return nil end,
    set = function(_, namespace, name, units)
      assert(namespace == "fastforward.cost")
      tell(name, units)
    end,
  }
  local info = {dynamicMetadata = function() return metadata end}
  envoy_on_response({
    filterContext = function() return {get = function(_, name) return context(name) end} end,
    headers = function() return {get = function(_, name) return header(name) end} end,
    streamInfo = function() return info end,
    bodyChunks = function()
      local number = 0
      return function()
        number = number + 1
        local part = parts[number]
        return part and {
          length = function() return #part end,
          getBytes = function(_, start, length) return string.sub(part, start + 1, start + length) end,
        }
      end
    end,
  })
end
"""


def splits(body: bytes) -> Iterator[list[bytes]]:
    """The body whole, in two parts at each place, and byte for byte."""
    yield [body]
    for place in range(1, len(body)):
        yield [body[:place], body[place:]]
    yield [body[place : place + 1] for place in range(len(body))]


@pytest.mark.parametrize("form", [json.dumps, lambda said: json.dumps(said, indent=1, ensure_ascii=False)])
def test_of_json_the_number_at_the_path_however_it_is_cut(form: Callable[[Any], str]) -> None:
    for parts in splits(form(ANSWER).encode()):
        assert read(parts, content_type="application/json") == FOUND


def test_of_events_the_last_that_tells_however_they_are_cut() -> None:
    events = [
        ': "a comment\r\n',
        "event: usage {[\r\n",
        f"data: {json.dumps({'usage': None, 'text': 'half '})}\r\n\r\n",
        f"data: {json.dumps({'usage': {'total_tokens': 3}})}\r\n\r\n",
        'data: {"usage": {"total_tokens": 9999999, broken "\r\n\r\n',
        f"data: {json.dumps(ANSWER)}\r\n\r\n",
        "data: [DONE]\r\n\r\n",
    ]
    for parts in splits("".join(events).encode()):
        assert read(parts, content_type="Text/Event-Stream; charset=utf-8") == FOUND


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{"usage": {"total_tokens": -5}}', {}),
        ('{"usage": {"total_tokens": "5"}}', {}),
        ('{"usage": {"total_tokens": null}}', {}),
        ('{"usage": {"total_tokens": 1e99}}', {}),
        ('{"usage": [{"total_tokens": 5}]}', {}),
        ('[{"usage": {"total_tokens": 5}}]', {}),
        ('{"usage": {"total_tokens": 5', {}),
        ('{"usage": {"total_tokens": 1.2e3}}', {"usage.total_tokens": 1200}),
        ("[" * 5000 + "]" * 5000, {}),
        ("{" * 5000, {}),
        ("}" * 50 + '{"usage": {"total_tokens": 5}}', {"usage.total_tokens": 5}),
        ('{"' + "a" * 100_000 + '": 1, "usage": {"total_tokens": 5}}', {"usage.total_tokens": 5}),
        ("", {}),
        ("5", {}),
        ("\x00\xff", {}),
    ],
)
def test_what_is_no_cost_is_none(body: str, expected: dict[str, float]) -> None:
    assert read([body.encode("latin-1")], content_type="application/json") == expected


def test_what_is_compressed_is_not_read() -> None:
    assert read([b'{"usage": {"total_tokens": 5}}'], content_encoding="gzip") == {}


def test_headers_tell_numbers_alone() -> None:
    said = {"x_units": "12", "x_other": "many", "x_less": "-3"}
    assert read([], paths="", headers="x-units x-other x-less x-absent", **said) == {"header:x-units": 12}


def test_a_route_says_what_its_limits_ask_for() -> None:
    by_path = limit("shop/a", 5, exact=True, cost=ir.Cost(path="usage.total_tokens"))
    by_header = limit("shop/b", 5, exact=True, cost=ir.Cost(header="x-units"))
    emitted = emit_cost([by_path, by_header, limit("shop/c", 5)])
    assert emitted is not None
    assert (emitted.name, dict(emitted.filter_context)) == (COST, {"paths": "usage.total_tokens", "headers": "x-units"})
    assert emit_cost([limit("shop/c", 5)]) is None
    assert [reads_bodies([each]) for each in (by_path, by_header)] == [True, False]
