"""The key with which EntryPoint signs what it allows.

In: a file, or nothing. Out: a Seal. Called by bootstrap.
"""

import json
from pathlib import Path

from fastforward_pipeline.message import Seal
from joserfc.jwk import OKPKey


def open_seal(path: Path | None) -> Seal:
    """Returns the seal with the private key in this file (a JWK of Ed25519), or with one that lasts as long as this
    process. Raises OSError, and ValueError for a file that holds none.
    """
    if path is None:
        key = OKPKey.generate_key("Ed25519", auto_kid=True)
    else:
        key = OKPKey.import_key(json.loads(path.read_text(encoding="utf-8")))
        key.ensure_kid()
        if not key.is_private:
            raise ValueError(f"{path} holds a public key: nothing can be signed with it")
    return Seal(key, {str(key.kid): key})
