"""What an Edge does to all of its answers. In: parts of an EdgeSpec. Out: IR values. Called by edge."""

from __future__ import annotations

import fastforward_crds as crds

from fastforward_compiler import ir


def translate_compression(said: crds.Compression | None) -> ir.Compression | None:
    """None for none."""
    if said is None:
        return None
    types = tuple(sorted(said.content_types))
    return ir.Compression(algorithms=said.algorithms, min_bytes=said.min_bytes, content_types=types)


def translate_security_headers(said: crds.SecurityHeaders | None) -> ir.SecurityHeaders | None:
    """None for none."""
    if said is None:
        return None
    return ir.SecurityHeaders(
        preset=said.preset, hsts_days=said.hsts_days, content_security_policy=said.content_security_policy or ""
    )
