"""A browser without a window: it keeps cookies by host, and goes where it is sent.

In: which host is reached at which port of this machine. Out: a `Visitor`. Called by tests of logins. Cookies are kept
as RFC 6265bis says, as far as the gateway's need it; one that a browser would not take fails the test.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

from support.client import Connection, Response

PAGE = {"accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", "sec-fetch-mode": "navigate"}
_MOST_REDIRECTS = 8


@dataclass(slots=True)
class Visitor:
    """One profile of a browser."""

    ports: dict[str, int]
    """Host -> port of this machine."""
    cookies: dict[str, dict[str, str]] = field(default_factory=dict)
    """Host -> name -> value."""
    been: list[str] = field(default_factory=list)
    """URLs, in order."""

    def open(self, url: str, headers: dict[str, str] | None = None) -> Response:
        """Opens a page, and follows redirects to where they end."""
        for _ in range(_MOST_REDIRECTS):
            answer = self.step(url, headers)
            location = answer.header("location")
            if answer.status != 302 or location is None:
                return answer
            url = urljoin(url, location)
        raise AssertionError(f"sent in circles: {self.been[-_MOST_REDIRECTS:]}")

    def step(self, url: str, headers: dict[str, str] | None = None) -> Response:
        """Asks for one page, and keeps the cookies that come with it."""
        self.been.append(url)
        parts = urlsplit(url)
        host = parts.hostname or ""
        kept = "; ".join(f"{name}={value}" for name, value in self.cookies.get(host, {}).items())
        sent = {**PAGE, **({"cookie": kept} if kept else {}), **(headers or {})}
        secure = parts.scheme == "https"
        with Connection(self.ports[host], server_name=host if secure else "") as connection:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            answer = connection.request("GET", target, host=parts.netloc, headers=sent)
        for line in answer.values("set-cookie"):
            self._keep(host, line, secure=secure)
        return answer

    def until_sent_to(self, host: str, url: str) -> str:
        """Opens a page and follows redirects; returns the first URL at `host`, which is not opened."""
        while urlsplit(url).hostname != host:
            location = self.step(url).header("location")
            assert location is not None, f"{url} sends nowhere"
            url = urljoin(url, location)
        return url

    def _keep(self, host: str, line: str, *, secure: bool) -> None:
        pair, *attributes = line.split("; ")
        name, _, value = pair.partition("=")
        assert len(line) <= 4096, "browsers take no longer ones"
        assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(attributes), line
        assert not any(each.lower().startswith("domain") for each in attributes), line
        assert ("Secure" in attributes, name.startswith("__Host-")) == (secure, secure), line
        if "Max-Age=0" in attributes:
            self.cookies.get(host, {}).pop(name, None)
        else:
            self.cookies.setdefault(host, {})[name] = value
