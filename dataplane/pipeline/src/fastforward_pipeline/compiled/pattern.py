"""Regular expressions (RE2) over the bytes that the proxy matches. Called by conditions, paths and rewrites."""

from __future__ import annotations

import re2

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False


def raw(text: str) -> bytes:
    """Returns the bytes that a request's text came as: Latin-1, or UTF-8 for what never came over the wire."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


class Pattern:
    """A regular expression; it is matched in time linear in the text. Raises ValueError when RE2 refuses it."""

    __slots__ = ("_fullmatch", "_sub", "text")

    def __init__(self, text: str) -> None:
        try:
            program = re2.compile(text.encode("utf-8", "surrogatepass"), _OPTIONS)
        except re2.error as error:
            raise ValueError(f"the regular expression {text!r} is refused: {error}") from error
        self._fullmatch = program.fullmatch
        self._sub = program.sub
        self.text = text

    def matches(self, value: str) -> bool:
        """Whether all of `value` matches."""
        return self._fullmatch(raw(value)) is not None

    def replace(self, substitution: str, value: str) -> str:
        r"""Returns `value` with every match replaced; `\1` is the first group."""
        return self._sub(raw(substitution), raw(value)).decode("latin-1")
