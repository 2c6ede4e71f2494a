"""The archive that `ff collect` makes: members of bounded size, without secrets, with a README that says what is in it.

In: members, reasons why others are missing. Out: a .tar.gz file that only its owner may read. Called by collect.
"""

from __future__ import annotations

import errno
import io
import json
import os
import secrets
import tarfile
import time
from pathlib import Path
from typing import IO, Any

from fastforward_operator.providers.dump import dump_documents

from .redaction import Scrubber

MOST_MEMBER = 64 << 20
"""Bytes of one member."""
README = "README.txt"
MALFORMED = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What may be raised over a value that is not what it should be."""
_INTRODUCTION = """\
What a FastForward gateway looked like, for whoever is asked for help.
Made by `ff collect` at {time}.

Secrets have been taken out: contents of Secrets, credentials in headers, URLs and logs, private keys, tokens, values of
query parameters. Names are left as they are: of objects, hosts, tenants, files; and client addresses in the access log.
Look through it before you pass it on.
"""


class Archive:
    """Members are added one by one; what does not fit is left out and told."""

    def __init__(self, scrubber: Scrubber, most: int) -> None:
        self._scrubber = scrubber
        self._left = most
        self._members: dict[str, tuple[bytes, str]] = {}
        self.missing: list[str] = []

    @property
    def names(self) -> list[str]:
        """Of the members."""
        return list(self._members)

    def add_text(self, name: str, about: str, text: str, *, is_log: bool = False) -> None:
        """A text; of a log that is too long the end is kept, of anything else the beginning."""
        content = self._scrubber.scrub(text).encode(errors="replace")
        if len(content) > MOST_MEMBER:
            about += f"; cut from {len(content)} bytes"
            content = content[-MOST_MEMBER:] if is_log else content[:MOST_MEMBER]
        self._add(name, about, content)

    def add_json(self, name: str, about: str, value: Any) -> None:  # noqa: ANN401 - JSON
        """A value as JSON."""
        self._add_whole(name, about, json.dumps(self._scrubber.clean(value), indent=1, ensure_ascii=False))

    def add_documents(self, name: str, about: str, documents: list[dict[str, Any]]) -> None:
        """Objects as YAML. One that can't be written is told, and does not keep the others out."""
        texts = []
        for number, document in enumerate(documents, 1):
            try:
                texts.append(dump_documents(self._scrubber.clean_document(document)))
            except MALFORMED as error:
                self.missing.append(f"{name}: object {number} can't be written ({type(error).__name__}).")
        self._add_whole(name, about, "---\n".join(texts))

    def write(self, path: Path) -> int:
        """Returns its size. Raises OSError."""
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise OSError(errno.EINVAL, "it is a link, or no file")
        # Beside, then renamed: whoever may read the file that is there, or has it open, gets nothing of this one.
        beside = path.with_name(f".ff-collect.{secrets.token_hex(4)}")
        try:
            with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                self._pack(file, path.name.removesuffix(".tar.gz"))
            beside.rename(path)
        finally:
            beside.unlink(missing_ok=True)
        return path.stat().st_size

    def _pack(self, file: IO[bytes], folder: str) -> None:
        readme = self._scrubber.scrub(self._readme()).encode(errors="replace")
        with tarfile.open(fileobj=file, mode="w:gz") as tar:
            for name, content in {README: readme, **{name: each for name, (each, _) in self._members.items()}}.items():
                entry = tarfile.TarInfo(f"{folder}/{name}")
                entry.size, entry.mode, entry.mtime = len(content), 0o600, int(time.time())
                tar.addfile(entry, io.BytesIO(content))

    def _add_whole(self, name: str, about: str, text: str) -> None:
        content = text.encode(errors="replace")
        if len(content) > MOST_MEMBER:
            self.missing.append(f"{name}: it is larger ({len(content)} bytes) than a member may be ({MOST_MEMBER}).")
        else:
            self._add(name, about, content)

    def _add(self, name: str, about: str, content: bytes) -> None:
        if len(content) > self._left:
            self.missing.append(f"{name}: no room is left for its {len(content)} bytes; --most gives more.")
            return
        self._left -= len(content)
        self._members[self._scrubber.scrub(name)] = content, about

    def _readme(self) -> str:
        told = [f"  {name:<40} {about}" for name, (_, about) in self._members.items()]
        lacks = [f"  {each}" for each in self.missing] or ["  nothing"]
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        parts = (_INTRODUCTION.format(time=now), "What is in it", *told, "", "What could not be got", *lacks, "")
        return "\n".join(parts)
