"""Nodes with certificates, in folders as pods have them. In: an empty folder. Out: NodeTls. Called by tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from fastforward_kit.tls import NodeTls
from fastforward_operator.certificates import Subject, issue, new_authority


class Authority:
    """Certifies nodes in folders."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._now = datetime.now(UTC)
        self._own = new_authority("test", now=self._now, lifetime=timedelta(days=1))

    def node(self, kind: str, name: str = "a") -> NodeTls:
        return NodeTls(self.fill(kind, name))

    def fill(self, kind: str, name: str = "a") -> Path:
        uri = f"spiffe://fastforward/ns/shop/{kind}/{name}"
        subject = Subject(name=name, hosts=("localhost",), uris=(uri,), server=True, client=True)
        made = issue(self._own, subject, now=self._now, lifetime=timedelta(hours=1))
        folder = self._folder / f"{kind}-{name}"
        folder.mkdir(exist_ok=True)
        for file, text in (("tls.crt", made.certificate), ("tls.key", made.key), ("ca.crt", self._own.certificate)):
            (folder / file).write_text(text)
        return folder
