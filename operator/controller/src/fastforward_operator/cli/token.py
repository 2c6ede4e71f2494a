"""`ff token`: a token of the development issuer.

In: the state folder of `ff up` and claims. Out: the token on standard output. Called by cli/main.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

from fastforward_operator.supervisor.development import Development, DevelopmentError


def run(state: Path, claims: dict[str, object], minutes: int, issuer: str) -> int:
    """Print the token; 1 with a remedy when there is no development issuer."""
    try:
        return _print(Development(state / "dev"), state, claims, minutes, issuer)
    except DevelopmentError as error:
        print(error, file=sys.stderr)
    except UnicodeEncodeError:
        print("A claim is no text in UTF-8: mend its bytes.", file=sys.stderr)
    return 1


def _print(development: Development, state: Path, claims: dict[str, object], minutes: int, issuer: str) -> int:
    signatories = [one for one in development.signatories() if issuer in ("", one.issuer)]
    if not signatories:
        known = ", ".join(one.issuer for one in development.signatories())
        about = f"no issuer {issuer}, but {known}" if known else "no development issuer"
        remedy = "run `ff up DIR` or `ff credentials DIR` once, or name its folder with --state"
        print(f"There is {about} in {state}: {remedy}.", file=sys.stderr)
        return 1
    print(development.token(signatories[0], claims, timedelta(minutes=minutes)))
    return 0
