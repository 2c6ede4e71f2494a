"""One entry before it lies in a table: what is known of it without its neighbours, and its place in the order.

In: an entry's fields and needs. Out: `ir.Entry`, made once for each kind of table. Made by route, read by table.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastforward_compiler import ir
from fastforward_compiler.shared import shared

from .placement import Needs, place_stages
from .template import SEGMENT
from .world import Age

Order = tuple[tuple[Any, ...], Age, tuple[int, int, int]]

TENANT_FIRST = 100
"""Added to the priority where a tenant's rules lie in everybody's table: they come before all others."""

_RANK = {ir.PathType.EXACT: 0, ir.PathType.REGEX: 1, ir.PathType.PREFIX: 2}


class Piece:
    """One match of one rule. Compared by identity: a Route made again has new pieces."""

    __slots__ = ("_made", "closed_by", "field", "needs", "order", "plain")

    def __init__(
        self,
        *,
        field: str,
        order: Order,
        fields: dict[str, Any],
        needs: Needs,
        closed_by: tuple[str, ...] = (),
    ) -> None:
        """`fields` are those of `ir.Entry` that don't follow from the others."""
        self.field = shared(field)
        self.order = order
        self.needs = shared(needs)
        self.closed_by = closed_by
        placements, hop, fail_open = place_stages(needs)
        self.plain = ir.Entry(**fields, priority=-order[0][0], placements=placements, hop=hop, fail_open=fail_open)
        """The entry where nothing overtakes it and nobody shares the table."""
        self._made: dict[tuple[bool, bool], ir.Entry] | None = None

    @property
    def match(self) -> ir.Match:
        """What it asks of requests."""
        return self.plain.match

    @property
    def created(self) -> tuple[bool, str]:
        """When its Route was; sorts the oldest first."""
        return self.order[1][:2]

    def entry(self, *, overtaken: bool = False, tenant_first: bool = False) -> ir.Entry:
        """The entry where a rule with hop conditions may overtake it, or a tenant shares a table with everybody."""
        if not (overtaken or tenant_first):
            return self.plain
        if self._made is None:
            self._made = {}
        made = self._made.get((overtaken, tenant_first))
        if made is None:
            needs = self.needs._replace(overtaken=True) if overtaken else self.needs
            placements, hop, fail_open = place_stages(needs)
            made = self._made[overtaken, tenant_first] = replace(
                self.plain,
                priority=self.plain.priority + TENANT_FIRST if tenant_first else self.plain.priority,
                placements=placements,
                hop=hop,
                fail_open=fail_open,
            )
        return made


def precedence(match: ir.Match, priority: int, age: Age, place: tuple[int, int, int]) -> Order:
    """Sorts first what a request takes first: priority, path, number of conditions, age, place in the Route."""
    first = (
        -priority,
        _RANK[match.path_type],
        -_length(match),
        not match.listener,
        not match.methods,
        -len(match.headers),
        -len(match.query),
        not match.api_version,
        -len(hop_conditions(match)),
    )
    return shared(first), age, shared(place)


def _length(match: ir.Match) -> int:
    """Of what a path is compared with; a segment that may be anything is nothing of it."""
    return len(match.path.replace(SEGMENT, "") if match.path_type is ir.PathType.REGEX else match.path)


def hop_conditions(match: ir.Match) -> tuple[str, ...]:
    """The kinds of conditions that only the decision service can judge."""
    if not match.needs_hop:
        return ()
    named = (("roles", match.roles), ("region", match.region), ("flag", match.flag))
    return tuple(name for name, value in named if value)
