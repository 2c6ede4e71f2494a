"""Adaptive concurrency of an Edge. In: a part of an EdgeSpec. Out: its IR value. Called by edge."""

from __future__ import annotations

import fastforward_crds as crds

from fastforward_compiler import ir


def translate_concurrency(said: crds.AdaptiveConcurrency | None) -> ir.AdaptiveConcurrency | None:
    """None for none."""
    if said is None:
        return None
    return ir.AdaptiveConcurrency(
        least=said.least,
        most=said.most,
        percentile=said.percentile,
        measure_every_ms=crds.milliseconds(said.measure_every),
    )
