"""Texts that clients have written in JSON, which can say what is none.

In: a text. Out: whether it can be written again. Called by the adapters that repeat what clients say.
"""

from __future__ import annotations


def is_text(said: str) -> bool:
    """Whether it is Unicode: JSON can say halves of characters (RFC 8259, section 8.2), and UTF-8 can't."""
    return said.isascii() or not any("\ud800" <= each <= "\udfff" for each in said)
