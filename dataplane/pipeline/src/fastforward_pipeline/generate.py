"""`python -m fastforward_pipeline.generate`: writes the reference page of refusals below the current folder.

In: the closed list of reasons and the facts about them. Out: docs/reference/refusals.md. Called by `make generate`.
"""

from __future__ import annotations

from pathlib import Path

from .reason import FACTS, Reason

PAGE = Path("docs/reference/refusals.md")
_HEAD = """<!-- Made from the list of reasons by `make generate`: change that, not this file. -->

# Refusals

Why the gateway refuses a request, as STAGE/REASON: in the access log (`refusal`), in the metrics, in the problem
document that the client gets (RFC 9457), and in `ff explain`.

| Reason | Status | What the client is told | What to do |
|---|---|---|---|
"""


def main() -> None:
    """Writes the page."""
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(write_page(), encoding="utf-8")


def write_page() -> str:
    """The page of all refusals, in the order of the list."""
    facts = ((reason, FACTS[reason]) for reason in Reason)
    return _HEAD + "".join(f"| `{reason}` | {fact.status} | {fact.title} | {fact.remedy} |\n" for reason, fact in facts)


if __name__ == "__main__":
    main()
