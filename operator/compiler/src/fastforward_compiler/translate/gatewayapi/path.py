"""What a path may be that no expression is: an API server refuses others, and elsewhere nobody has looked.

In: paths of HTTPRoutes. Out: what is wrong with them. Called by httproute. Source: Gateway API, `HTTPPathMatch`. Envoy
refuses the whole table of a host for some of these, and no request has a path with the others.
"""

from __future__ import annotations

import re

_FORBIDDEN = ("//", "/./", "/../", "%2f", "%2F")
_ENDS = ("/.", "/..")
_SIGNS = re.compile(r"(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})+")


def fault_of_path(path: str) -> str:
    """What is wrong with a path, as the beginning of a sentence; empty when nothing is."""
    if not path.startswith("/"):
        return "A path starts with /"
    found = next((each for each in _FORBIDDEN if each in path), "")
    if found:
        return f"A path holds no {found}"
    if path.endswith(_ENDS):
        return "A path ends with neither /. nor /.."
    if _SIGNS.fullmatch(path) is None:
        return "A path holds letters, digits, %XX and -/._~!$&'()*+,;=:@ alone"
    return ""
