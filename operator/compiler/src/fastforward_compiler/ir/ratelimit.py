"""How many requests, by which key. Made by translate/ratelimit; read by emit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A token bucket: `burst` tokens at most, `requests` more in each `window_ms`, evenly."""

    requests: int
    window_ms: int
    burst: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPart:
    """`type` is Address, ApiKey, Tenant, Subject, Endpoint or Header; `header` in lower case."""

    type: str
    header: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What answers cost: told at a JSON `path`, or by a `header` (lower case); `otherwise` where none is told."""

    path: str = ""
    header: str = ""
    otherwise: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One RateLimit."""

    name: str
    """NAMESPACE/NAME."""
    key: tuple[KeyPart, ...]
    budget: Budget
    plans: tuple[tuple[str, Budget], ...] = ()
    tenants: tuple[tuple[str, Budget], ...] = ()
    """Budgets by tenant name, from the Tenants' own limits and, for native counting, their plans; they come first."""
    exact: bool = False
    """Counted by the decision service; otherwise natively in each proxy."""
    fail_open: bool = True
    period: str = ""
    """Hour, Day, Week or Month where each budget is a quota: `requests` in each such period of the calendar."""
    cost: Cost | None = None
    """What budgets count instead of requests."""
    lease_ms: int = 0
    """Above 0, each budget is a bound on requests under way, which are counted no longer than this."""
    shadow: bool = False

    @property
    def needs_ends(self) -> bool:
        """Whether the decision service must be told when requests end."""
        return self.cost is not None or self.lease_ms > 0
