"""Idempotency keys: how clients write them (draft-ietf-httpapi-idempotency-key-header), and who needs one.

In: what a client sent. Out: the key itself, or that it is none. Called by stage 7 and by adapters.
"""

from __future__ import annotations

import re
from hashlib import sha256

SAFE = frozenset({"GET", "HEAD", "OPTIONS", "QUERY"})
"""Methods that ask for nothing to be changed (RFC 9110, section 9.2.1)."""
MAX_KEY = 255
"""Characters of a key."""
_BARE = rf"[!#-+.-\[\]-~-]{{1,{MAX_KEY}}}"
_QUOTED = rf'"[ !#-\[\]-~]{{1,{MAX_KEY}}}"'
PATTERN = f"^({_BARE}|{_QUOTED})$"
"""How a key is written."""
_WRITTEN = re.compile(f"{_BARE}|{_QUOTED}")


def read_key(written: str) -> str:
    """Returns the key; empty for one that is malformed.

    A structured string as the draft has it (`"k-1"`), or the bare word that most clients send (`k-1`): the same key.
    Without escapes, and bare without a comma, which is what a header sent twice would have.
    """
    return written.strip('"') if _WRITTEN.fullmatch(written) else ""


def derive_key(written: str, part: str) -> str:
    """Returns the key of a part of what has this key; a malformed one stays so, and is refused like the whole."""
    if not read_key(written):
        return written
    mark = '"' if written.startswith('"') else ""
    made = f"{written.removesuffix(mark)}/{part}{mark}"
    return made if read_key(made) else sha256(made.encode()).hexdigest()
