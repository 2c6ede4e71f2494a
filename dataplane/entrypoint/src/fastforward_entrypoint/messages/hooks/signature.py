"""Signatures of webhooks, by Standard Webhooks.

In: keys, and what is sent. Out: headers. Called by sending, anew for each try: receivers refuse old times.
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable, Mapping


def sign(keys: Iterable[bytes], event: str, seconds: int, body: bytes) -> Mapping[str, str]:
    """Returns the headers: a signature by each key, so that a receiver may change its own while both are valid."""
    signed = f"{event}.{seconds}.".encode() + body
    signatures = (base64.b64encode(hmac.digest(key, signed, "sha256")).decode() for key in keys)
    return {
        "webhook-id": event,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
