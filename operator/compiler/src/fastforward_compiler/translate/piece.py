"""One entry before it lies in a table: what is known of it without its neighbours, and its place in the order.

In: an entry's fields and needs. Out: `ir.Entry`, made once for each kind of table. Made by route, read by table.
"""

from __future__ import annotations

from typing import Any

from fastforward_compiler import ir

from .placement import Needs, place_stages
from .template import SEGMENT
from .world import Age

Order = tuple[Any, ...]

TENANT_FIRST = 100
"""Added to the priority where a tenant's rules lie in everybody's table: they come before all others."""

_RANK = {ir.PathType.EXACT: 0, ir.PathType.REGEX: 1, ir.PathType.PREFIX: 2}


class Piece:
    """One match of one rule. Compared by identity: a Route made again has new pieces."""

    __slots__ = ("_made", "closed_by", "created", "field", "fields", "match", "needs", "order", "priority", "route")

    def __init__(
        self,
        *,
        route: str,
        field: str,
        order: Order,
        fields: dict[str, Any],
        needs: Needs,
        closed_by: tuple[str, ...] = (),
    ) -> None:
        self.route = route
        self.field = field
        self.priority: int = -order[0]
        self.order = order
        self.created: tuple[bool, str] = order[-2][:2]
        self.fields = fields
        self.match: ir.Match = fields["match"]
        self.needs = needs
        self.closed_by = closed_by
        self._made: dict[tuple[bool, bool], ir.Entry] = {}

    def entry(self, *, overtaken: bool = False, tenant_first: bool = False) -> ir.Entry:
        """The entry where a rule with hop conditions may overtake it, or a tenant shares a table with everybody."""
        made = self._made.get((overtaken, tenant_first))
        if made is None:
            needs = self.needs._replace(overtaken=True) if overtaken else self.needs
            placements, hop, fail_open = place_stages(needs)
            priority = self.priority + TENANT_FIRST if tenant_first else self.priority
            made = self._made[overtaken, tenant_first] = ir.Entry(
                **self.fields, priority=priority, placements=placements, hop=hop, fail_open=fail_open
            )
        return made


def precedence(match: ir.Match, priority: int, age: Age, place: tuple[int, int, int]) -> Order:
    """Sorts first what a request takes first: priority, path, number of conditions, age, place in the Route."""
    return (
        -priority,
        _RANK[match.path_type],
        -_length(match),
        not match.listener,
        not match.methods,
        -len(match.headers),
        -len(match.query),
        not match.api_version,
        -len(hop_conditions(match)),
        age,
        place,
    )


def _length(match: ir.Match) -> int:
    """Of what a path is compared with; a segment that may be anything is nothing of it."""
    return len(match.path.replace(SEGMENT, "") if match.path_type is ir.PathType.REGEX else match.path)


def hop_conditions(match: ir.Match) -> tuple[str, ...]:
    """The kinds of conditions that only the decision service can judge."""
    if not match.needs_hop:
        return ()
    named = (("roles", match.roles), ("region", match.region), ("flag", match.flag))
    return tuple(name for name, value in named if value)
