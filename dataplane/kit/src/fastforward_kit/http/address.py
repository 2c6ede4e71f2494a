"""Where a server listens, as users write it: `unix:PATH` or `HOST:PORT`. Called by settings and by listeners."""

import os
from dataclasses import dataclass
from pathlib import Path

MAX_UNIX_PATH = 107  # sockaddr_un on Linux, without the final zero


@dataclass(frozen=True, slots=True)
class Address:
    """Exactly one of a Unix socket's `path`, and `host` with `port` (0 for a free one)."""

    path: Path | None = None
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        return f"unix:{self.path}" if self.path else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Returns the address that `text` says. Raises ValueError with a sentence for a user."""
    if text.startswith("unix:"):
        path = Path(text.removeprefix("unix:"))
        room = MAX_UNIX_PATH - len(temporary_suffix())
        if not path.is_absolute() or len(os.fsencode(path)) > room:
            raise ValueError(f"a Unix socket needs an absolute path of at most {room} bytes, not {path}")
        return Address(path=path)
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"an address is unix:PATH or HOST:PORT, not {text!r}")
    return Address(host=host.strip("[]"), port=int(port))


def temporary_suffix() -> str:
    """Returns what this process adds to a socket's name until it is renamed into place."""
    return f".{os.getpid()}"
