"""A receiver of webhooks that has a CDN forget what has changed.

In: events that an EventHook tells of (CloudEvents, signed by Standard Webhooks). Out: one purge call each, by tag, to
the CDN's API. Run beside the CDN's credentials; nothing but the standard library:

    HOOK_KEY=whsec_... CDN_TOKEN=... python cdn_purge.py --cdn https://api.cdn.example --tag 'book-{id}'

What it answers decides what becomes of the event (docs/concepts/messages.md): 204 it is done; 503 the CDN was away, and
the event comes again; 401 and 400 nobody believes it, or nobody understands it: it becomes a dead letter. Purging twice
does no harm, so nothing is remembered.
"""

from __future__ import annotations

import argparse
import base64
import hmac
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOLERANCE_S = 300
"""How old a webhook may be, and how far ahead its clock: an old one may be a copy of somebody who listened."""
MOST_BYTES = 1 << 20
TIMEOUT_S = 4
"""Less than the hook's own `timeout`."""


class UnbelievedError(Exception):
    """Not signed by the key, or not now."""


def verify(key: str, headers: Mapping[str, str], body: bytes, now: float) -> None:
    """Raises UnbelievedError unless one of the signatures is the key's, and new."""
    id_, sent, signatures = (headers.get(f"webhook-{part}", "") for part in ("id", "timestamp", "signature"))
    if not sent.isascii() or not sent.isdigit() or abs(now - int(sent)) > TOLERANCE_S:
        raise UnbelievedError("it is not of now")
    secret = base64.b64decode(key.removeprefix("whsec_"))
    wanted = base64.b64encode(hmac.digest(secret, f"{id_}.{sent}.".encode() + body, "sha256")).decode()
    if not any(hmac.compare_digest(each.encode(), f"v1,{wanted}".encode()) for each in signatures.split()):
        raise UnbelievedError("no signature is of this key")


def tag_of(pattern: str, body: bytes) -> str:
    """The tag that the event names. Raises ValueError when it names none."""
    try:
        data = json.loads(body)["data"]
        return pattern.format_map({name: value for name, value in data.items() if isinstance(value, str | int)})
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"the event lacks {error}") from error


class Cdn:
    """The CDN's API: `POST /purge` with the tags to forget, as most have it in some form."""

    def __init__(self, url: str, token: str) -> None:
        self._url = f"{url.rstrip('/')}/purge"
        self._token = token

    def purge(self, tag: str) -> None:
        """Raises OSError when it is not there, or refuses."""
        headers = {"authorization": f"Bearer {self._token}", "content-type": "application/json"}
        # Who starts the program says which URL.
        asked = urllib.request.Request(self._url, json.dumps({"tags": [tag]}).encode(), headers)  # noqa: S310
        with urllib.request.urlopen(asked, timeout=TIMEOUT_S) as answer:  # noqa: S310
            answer.read()


class Receiver(ThreadingHTTPServer):
    """Takes webhooks that are signed by the key, and purges the tag that the pattern makes of their data."""

    daemon_threads = True

    def __init__(self, port: int, key: str, cdn: Cdn, pattern: str) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self._key, self._cdn, self._pattern = key, cdn, pattern

    def take(self, headers: Mapping[str, str], body: bytes) -> tuple[int, str]:
        """What to answer, and why."""
        try:
            verify(self._key, headers, body, time.time())
            tag = tag_of(self._pattern, body)
            self._cdn.purge(tag)
        except UnbelievedError as error:
            return 401, str(error)
        except ValueError as error:
            return 400, str(error)
        except OSError as error:
            return 503, f"the CDN: {error}"
        return 204, f"{tag} is purged"


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Takes one webhook."""
        receiver = self.server
        assert isinstance(receiver, Receiver)  # noqa: S101 - made by it alone
        length = int(self.headers.get("content-length", "0"))
        if length > MOST_BYTES:
            self.close_connection = True
            status, why = 413, "too large"
        else:
            said = {name.lower(): value for name, value in self.headers.items()}
            status, why = receiver.take(said, self.rfile.read(length))
        self.log_message("%d %s", status, why)
        self.send_response_only(status)
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("content-length", "0")
        self.end_headers()


def main() -> None:
    """Serves until it is ended."""
    options = argparse.ArgumentParser(description="Has a CDN forget what an event tells has changed.")
    options.add_argument("--port", type=int, default=7401)
    options.add_argument("--cdn", required=True, help="base URL of the CDN's API")
    options.add_argument("--tag", default="book-{id}", help="tag to purge, with names of the event's data in braces")
    given = options.parse_args()
    cdn = Cdn(given.cdn, os.environ.get("CDN_TOKEN", ""))
    with Receiver(given.port, os.environ["HOOK_KEY"], cdn, given.tag) as receiver:
        receiver.serve_forever()


if __name__ == "__main__":
    main()
