"""Conditions on headers and query parameters, in one order. Called by rule and disturbance."""

from __future__ import annotations

from collections.abc import Sequence

import fastforward_crds as crds

from fastforward_compiler import ir


def translate_texts(texts: Sequence[crds.TextMatch], *, lower: bool) -> tuple[ir.TextMatch, ...]:
    """The conditions; names of headers in lower case."""
    if not texts:
        return ()
    made = {
        ir.TextMatch(name=text.name.lower() if lower else text.name, type=ir.TextType(text.type), value=_value(text))
        for text in texts
    }
    return tuple(sorted(made, key=lambda text: (text.name, text.type, text.value)))


def _value(text: crds.TextMatch) -> str:
    return "" if text.type == "Present" else text.value
