"""The names of kinds, as people type them.

In: a kind's name, plural or short name, in any case. Out: the kind's name. Called by get and completion.
"""

from __future__ import annotations

from fastforward_crds import KINDS, gatewayapi

_SHORT = {"GatewayClass": ("gc",), "Gateway": ("gtw",), "ListenerSet": ("lset",), "BackendTLSPolicy": ("btlspolicy",)}
"""Short names of kinds of Gateway API, as its definitions give them."""
_NAMES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    *((kind.name, kind.plural, kind.short) for kind in KINDS),
    *((kind, plural, _SHORT.get(kind, ())) for kind, plural in gatewayapi.PLURALS.items()),
    ("Document", "documents", ()),
)
"""Kind, plural, short names. A Document is what is written in a directory and is no object."""


def kind_named(text: str) -> str | None:
    """The kind that goes by a name; None when none does."""
    wanted = text.lower()
    return next((kind for kind, plural, short in _NAMES if wanted in (kind.lower(), plural, *short)), None)


def names_of_kinds() -> list[tuple[str, ...]]:
    """The names of each kind: its plural, its own name, its short ones."""
    return [(plural, kind, *short) for kind, plural, short in _NAMES]


def known_kinds() -> str:
    """All names, for a sentence."""
    return ", ".join(f"{plural} ({', '.join(short)})" if short else plural for _, plural, short in _NAMES)
