"""How clients stay with an endpoint. Made by translate/session; read by emit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """By a cookie, or by a header; the other one is empty."""

    cookie: str = ""
    header: str = ""
    path: str = ""
    max_age_s: int | None = None
    """None for as long as the browser lives."""
    renewed: bool = True
    """Whether each answer puts its end off."""
    same_site: str = ""
    """Strict, Lax or None."""

    @property
    def key(self) -> str:
        """`cookie:NAME` or `header:NAME`."""
        return f"cookie:{self.cookie}" if self.cookie else f"header:{self.header}"
