"""What is wrong with content, for logs: most sentences of violations quote it, and are the caller's alone.

Called by the stages that judge content.
"""

from __future__ import annotations

from fastforward_pipeline.compiled.jsonschema import Violation

_QUOTES_NOTHING = frozenset({"required", "unknownFields", "maxDepth", "content"})


def tell_violations(violations: tuple[Violation, ...]) -> str:
    """Returns one sentence for all, without any of the content's values."""
    return "; ".join(map(_without_values, violations))


def _without_values(violation: Violation) -> str:
    what = violation.detail if violation.rule in _QUOTES_NOTHING else f"it breaks `{violation.rule}`"
    return f"{violation.pointer or 'the content'}: {what}"
