"""A network of its own for a process on this machine, so that several that listen on the same port are told apart.

In: a number. Out: an address where the process answers, and the command that starts it there. Called by benchmarks with
more than one Envoy. Only root may make one.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """One link from this machine to it."""

    number: int

    @property
    def name(self) -> str:
        return f"ff{os.getpid()}-{self.number}"

    @property
    def here(self) -> str:
        """This machine's address on the link."""
        return f"10.251.{self.number}.1"

    @property
    def there(self) -> str:
        return f"10.251.{self.number}.2"

    @property
    def inside(self) -> Sequence[str]:
        """Runs another command in it."""
        return ("ip", "netns", "exec", self.name)

    @property
    def _link(self) -> str:
        return f"ffb{os.getpid() % 100_000}n{self.number}"

    def make(self) -> None:
        """With an address at both ends."""
        link, name = self._link, self.name
        _ip("netns", "add", name)
        _ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("address", "add", f"{self.here}/30", "dev", link)
        _ip("link", "set", link, "up")
        for rest in (("address", "add", f"{self.there}/30", "dev", "eth0"), ("link", "set", "eth0", "up")):
            _ip("-n", name, *rest)
        _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", name, "route", "add", "default", "via", self.here)

    def remove(self) -> None:
        """The link goes with it."""
        _ip("netns", "delete", self.name)


def possible() -> bool:
    """Whether this process may make networks."""
    return os.geteuid() == 0


@contextmanager
def networks(count: int) -> Generator[list[Network]]:
    """Some, removed in the end."""
    made: list[Network] = []
    try:
        # Another benchmark may run on this machine.
        first = os.getpid() % 50 * 5
        for number in range(first, first + count):
            made.append(Network(number=number))
            made[-1].make()
        yield made
    finally:
        for each in made:
            each.remove()


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"ip {' '.join(words)} failed: {done.stderr.strip()}")
