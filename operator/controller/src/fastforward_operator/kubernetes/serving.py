"""The certificate of a server of this process, signed by the installation's authority and replaced in time.

In: the Authority, whom the certificate is for. Out: what a TLS server shows, asked at each handshake. Called by
bootstrap. Its key never leaves the process: each replica has its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from fastforward_operator.certificates import Certified, Subject, renew_at
from fastforward_operator.xds.identity import TlsMaterial

from .authority import Authority


@dataclass(slots=True)
class ServingCertificate:
    """May be asked from any thread: at worst two handshakes at once make two certificates, and both are good."""

    authority: Authority
    subject: Subject
    _current: Certified | None = None
    _signed_under: str = field(default="", repr=False)

    def material(self) -> TlsMaterial:
        """What is in force now. Raises ValueError before there is an authority."""
        held, current = self.authority.held, self._current
        signer = held.current.certificate if held is not None else ""
        if current is None or signer != self._signed_under or self.authority.clock() >= renew_at(current.certificate):
            current = self.authority.issue(self.subject)
            self._current, self._signed_under = current, signer
        return TlsMaterial(
            chain=current.certificate.encode(), key=current.key.encode(), authorities=self.authority.bundle.encode()
        )
