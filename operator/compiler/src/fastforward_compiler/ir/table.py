"""The rules of one host, for everybody or for one tenant, in order of precedence.

Made by translate/table; read by emit: one Table becomes one scope of Envoy with its table inline, and one table of the
decision snapshot.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from .route import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """One host of one Edge."""

    name: str
    """EDGE|HOST, or EDGE@PORT|HOST where each port has hosts of its own."""
    edge: str
    host: str
    region: str = ""
    host_tenant: str = ""
    """Tenant that every request to this host belongs to; empty for none."""
    tenant_tables: tuple[str, ...] = ()
    """Tenants with a table of their own here, sorted."""
    auths: tuple[str, ...] = ()
    """Names of the Auths that may have authenticated a request when it comes to a tenant's table, sorted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Entries in order of precedence.

    Priority; exact, regex, prefix; longer before shorter; more conditions before fewer; older Route first.
    """

    scope: str
    tenant: str
    """Empty for everybody's table."""
    entries: tuple[Entry, ...]

    @property
    def name(self) -> str:
        """SCOPE#TENANT, unique in the Snapshot."""
        return sys.intern(f"{self.scope}#{self.tenant}")
