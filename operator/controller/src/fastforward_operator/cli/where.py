"""Whom a command asks: a running operator, or a cluster.

In: options. Out: `Where`. Made by main, read by client and cluster; imports nothing, because `ff --help` comes by here.
"""

from __future__ import annotations

from typing import NamedTuple

CURRENT = "."
"""Stands for the current context of the kubeconfig."""


class Where(NamedTuple):
    """`context` or `kubeconfig` name a cluster; without either the operator at `api` is asked."""

    api: str
    context: str = ""
    kubeconfig: str = ""

    @property
    def is_cluster(self) -> bool:
        """Whether it is a cluster."""
        return bool(self.context or self.kubeconfig)

    @property
    def flags(self) -> tuple[str, ...]:
        """What tells kubectl, and a user who types the command again."""
        context = (f"--context={self.context}",) if self.context not in ("", CURRENT) else ()
        return (*context, *((f"--kubeconfig={self.kubeconfig}",) if self.kubeconfig else ()))
