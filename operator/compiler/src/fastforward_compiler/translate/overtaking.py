"""Rules with hop conditions, and the rules that they may overtake: which entries of a table need the decision service.

In: the pieces of a table in order of precedence, and the paths of such rules in tenants' tables. Out: the same pieces,
marked, and a gate for each such rule that nothing else would lead to. Called by table. Why it exists: the proxy can't
judge roles, regions and flags, so every request that such a rule might take must be asked about, and no other one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from fastforward_compiler import ir

from .piece import Piece, precedence
from .world import age

GATE_PRIORITY = -100
"""Below every priority that a Route can have."""
_MANY = 64
"""With more conditional rules than this in a table, all its entries are asked about: comparing all pairs costs more."""

PathMatch = tuple[ir.PathType, str]


class Laid(NamedTuple):
    """A piece on its way into a table."""

    piece: Piece
    tenant_first: bool = False
    overtaken: bool = False
    """Whether a rule with hop conditions may take its requests."""


def path_of(match: ir.Match) -> PathMatch:
    """What a match says of the path."""
    return match.path_type, match.path


def mark_overtaken(pieces: Sequence[Laid], foreign: Iterable[PathMatch]) -> list[Laid]:
    """Mark what a conditional rule before it, or one of `foreign` (in tenants' tables), may overtake."""
    before = list(foreign)
    marked = []
    for laid in pieces:
        path = path_of(laid.piece.match)
        conditional = laid.piece.match.needs_hop
        overtaken = not conditional and (len(before) > _MANY or any(_meet(path, other) for other in before))
        marked.append(laid._replace(overtaken=overtaken))
        if conditional:
            before.append(path)
    return marked


def make_gates(pieces: Sequence[Laid]) -> list[Laid]:
    """A gate for the path of each conditional rule that no unconditional rule stands behind."""
    gates: dict[PathMatch, Laid] = {}
    covered = {path_of(laid.piece.match) for laid in pieces if _is_unconditional(laid.piece.match)}
    for laid in pieces:
        path = path_of(laid.piece.match)
        if laid.piece.match.needs_hop and path not in gates and not _is_covered(path, covered):
            gates[path] = Laid(_gate_for(laid.piece), overtaken=True)
    return sorted(gates.values(), key=lambda laid: laid.piece.order)


def _gate_for(piece: Piece) -> Piece:
    """Guarded as the rule that it leads to; for the rest nothing but 404."""
    path_type, path = path_of(piece.match)
    match = ir.Match(path_type=path_type, path=path)
    destination = piece.plain.destination
    answer = destination if isinstance(destination, ir.Unavailable) else ir.Respond(status=404)
    kept = {"edge_admission": piece.plain.edge_admission, "admission": piece.plain.admission, "auth": piece.plain.auth}
    own = {"id": f"gate {path_type} {path}", "route": "", "rule": "", "match": match, "gate": True}
    return Piece(
        field="",
        order=precedence(match, GATE_PRIORITY, age(None), (0, 0, 0)),
        fields={**kept, **own, "destination": answer},
        needs=piece.needs._replace(
            native_limits=(), exact_limits=(), limits_open=False, conditions=(), shards=False, proxied=False
        ),
        closed_by=piece.closed_by,
    )


def _is_unconditional(match: ir.Match) -> bool:
    return match == ir.Match(path_type=match.path_type, path=match.path)


def _is_covered(path: PathMatch, covered: AbstractSet[PathMatch]) -> bool:
    """Whether every request to `path` is taken by something, whatever else it carries."""
    if path in covered:
        return True
    if path[0] is ir.PathType.REGEX:
        return (ir.PathType.PREFIX, "/") in covered
    above = path[1]
    while above:
        if (ir.PathType.PREFIX, above) in covered:
            return True
        above = above.rpartition("/")[0]
    return (ir.PathType.PREFIX, "/") in covered


def _meet(one: PathMatch, other: PathMatch) -> bool:
    """Whether some request's path could match both; regular expressions are taken to meet everything."""
    if ir.PathType.REGEX in (one[0], other[0]):
        return True
    return (
        one[1] == other[1]
        or (one[0] is ir.PathType.PREFIX and _is_below(other[1], one[1]))
        or (other[0] is ir.PathType.PREFIX and _is_below(one[1], other[1]))
    )


def _is_below(path: str, prefix: str) -> bool:
    """Whether a path is the prefix, or goes on below it segment by segment."""
    bare = prefix.rstrip("/")
    return path == bare or path.startswith(f"{bare}/")
