"""How long a caller is ready to wait for the result of a command (RFC 7240).

In: the headers of a message's Source. Out: seconds. Called by EntryPoint.
"""

from __future__ import annotations

from collections.abc import Iterable

from fastforward.message.v1 import envelope_pb2

_DIGITS = 9


def preferred_wait_s(fields: Iterable[envelope_pb2.Field]) -> int:
    """Returns N of `Prefer: wait=N`; 0 when there is none, or none that is understood. The first one counts."""
    told = ",".join(each.value for each in fields if each.name == "prefer")
    for preference in told.split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "wait":
            digits = value.strip().strip('"')
            return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS else 0
    return 0
