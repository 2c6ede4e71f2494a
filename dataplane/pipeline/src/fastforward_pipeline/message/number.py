"""JSON as RFC 8785 writes it, where Python's own writer differs: numbers and the order of keys.

In: a JSON value. Out: its text. Called by content, for what needs it; everything else is written by the standard
library, which is many times faster. Integers stay exact, though a double holds no more than 53 bits of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import isinf
from typing import Any

_EXACT = 1 << 53
_TOO_LARGE = "a number is larger than any double"
_LEAST_PLAIN = 1e-4
"""Below it Python writes an exponent."""


class Numbers:
    """Reads the numbers of one document, and notices those that Python writes otherwise than RFC 8785."""

    __slots__ = ("awkward",)

    def __init__(self) -> None:
        self.awkward = False

    def parse_float(self, text: str) -> float | int:
        """Returns a number with a fraction or an exponent; one that is whole and exact as an integer."""
        value = float(text)
        if isinf(value):
            raise ValueError(_TOO_LARGE)
        if value.is_integer() and abs(value) < _EXACT:
            return int(value)
        if not _LEAST_PLAIN <= abs(value) < _EXACT:
            self.awkward = True
        return value

    def parse_int(self, text: str) -> int:
        """Returns an integer, for documents in which one may be too long."""
        if isinf(float(text)):
            raise ValueError(_TOO_LARGE)
        return int(text)


def write(value: Any) -> str:  # noqa: ANN401 - JSON
    """Returns the text. Raises ValueError for numbers that no double holds."""
    return "".join(_pieces(value))


def _pieces(value: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    match value:
        case dict():
            mark = "{"
            for name in sorted(value, key=_units):
                yield f"{mark}{json.dumps(name, ensure_ascii=False)}:"
                yield from _pieces(value[name])
                mark = ","
            yield "}" if value else "{}"
        case list():
            mark = "["
            for each in value:
                yield mark
                yield from _pieces(each)
                mark = ","
            yield "]" if value else "[]"
        case bool() | str() | None:
            yield json.dumps(value, ensure_ascii=False)
        case _:
            yield write_number(value)


def _units(name: str) -> bytes:
    """Keys are ordered by their UTF-16 code units."""
    return name.encode("utf-16-be", "surrogatepass")


def write_number(value: float) -> str:
    """Returns what ECMAScript writes (ECMA-262, Number::toString); integers with all their digits."""
    try:
        as_double = float(value)
    except OverflowError:
        as_double = float("inf")
    if as_double in {float("inf"), float("-inf")}:
        raise ValueError(_TOO_LARGE)
    if isinstance(value, int):
        return str(value)
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = int(exponent or 0) + len(whole) - (len(whole + fraction) - len(digits))
    return sign + _lay_out(digits.rstrip("0"), point)


def _lay_out(digits: str, point: int) -> str:
    """`point` is where the decimal point is, counted from before the first digit."""
    if len(digits) <= point <= 21:
        return digits.ljust(point, "0")
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"0.{'0' * -point}{digits}"
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{fraction}e{point - 1:+d}"
