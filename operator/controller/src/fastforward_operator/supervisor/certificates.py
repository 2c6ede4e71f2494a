"""A certificate authority for development, and what it certifies.

In: DNS names. Out: PEM texts. Called by development. Not meant for production: the names say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from fastforward_operator import certificates
from fastforward_operator.certificates import Certified, Subject

_AUTHORITY_VALID = timedelta(days=3650)
_CERTIFICATE_VALID = timedelta(days=365)
_SOON = timedelta(days=30)


def expires_soon(certified: Certified) -> bool:
    """Whether it ends within a month."""
    return certificates.ends_at(certified.certificate) - datetime.now(UTC) < _SOON


def new_authority() -> Certified:
    """A certificate authority that signs itself."""
    return certificates.new_authority("FastForward development CA", now=datetime.now(UTC), lifetime=_AUTHORITY_VALID)


def new_certificate(authority: Certified, hosts: Sequence[str]) -> Certified:
    """A server certificate for the hosts; `*.suffix` is possible."""
    subject = Subject(name="FastForward development", hosts=tuple(hosts), server=True)
    return certificates.issue(authority, subject, now=datetime.now(UTC), lifetime=_CERTIFICATE_VALID)
