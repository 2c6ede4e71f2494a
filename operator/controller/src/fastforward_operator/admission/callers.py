"""Who may ask for admission: the API server, which proves by a certificate that it is the one.

In: a file, or the API server's own ConfigMap, with the authority of its certificate. Out: that authority, and whether a
certificate is the API server's. Called by server at each handshake and each request. Whoever else could ask would learn
from answers which hosts and tenants there are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import structlog

from fastforward_operator.kubernetes.client import ApiError, Client

_log = structlog.get_logger(__name__)

CONFIG_MAP = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
"""Where the API server tells extensions by whom its clients, and it itself, are certified."""
_KEY = "client-ca-file"
_CHECK_S = 60.0
_NAMES = {"DNS", "URI"}


@dataclass(slots=True)
class Callers:
    """`anybody` listens to callers without a certificate, too: for clusters whose API server shows none."""

    client: Client
    file: Path | None = None
    """In place of the ConfigMap."""
    name: str = "kube-apiserver"
    anybody: bool = False
    known: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when there is something to check certificates by, or none is asked for."""
    _told: str = ""

    @property
    def authority(self) -> str:
        """PEM; empty while it is not known. May be asked from any thread."""
        if self.file is None:
            return self._told
        try:
            return self.file.read_text()
        except (OSError, UnicodeDecodeError):
            return ""

    async def run(self) -> None:
        """Until cancelled: keep what the ConfigMap says."""
        while True:
            if self.file is None and not self.anybody:
                await self._read()
            if self.anybody or self.authority:
                self.known.set()
            else:
                _log.error("there is no authority of the API server's certificate: name it in FF_WEBHOOK_CLIENT_CA")
            await asyncio.sleep(_CHECK_S if self.known.is_set() else 1.0)

    async def _read(self) -> None:
        try:
            found = await self.client.read(CONFIG_MAP)
            self._told = str(((found or {}).get("data") or {}).get(_KEY, "")) or self._told
        except (ApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
            _log.warning("authority of the API server", error=str(error) or type(error).__name__)

    def admits(self, certificate: Mapping[str, Any] | None) -> bool:
        """Whether a verified certificate, as the ssl module tells it, is the API server's."""
        return self.anybody or (certificate is not None and self.name in set(_names(certificate)))


def _names(certificate: Mapping[str, Any]) -> list[str]:
    subject = [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
    return [*subject, *(value for kind, value in certificate.get("subjectAltName", ()) if kind in _NAMES)]
