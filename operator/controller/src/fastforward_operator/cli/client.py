"""The running operator as commands see it: its HTTP API, read only.

In: the base URL of the API. Out: objects, proxies, the decision snapshot; one sentence and exit code 1 when nobody
answers. Called by get, status and explain.
"""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import urlencode

_TIMEOUT_S = 10.0


class OperatorClient:
    """Asks one operator."""

    def __init__(self, api: str) -> None:
        self._api = api.rstrip("/")
        # The operator is on this machine or inside the cluster: no proxy of the environment leads there.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def objects(self, **wanted: str) -> list[dict[str, Any]]:
        """Objects with their conditions; `kind`, `namespace` and `name` narrow them down."""
        query = urlencode({part: value for part, value in wanted.items() if value})
        objects: list[dict[str, Any]] = self._json(f"/v1/objects?{query}")["objects"]
        return objects

    def proxies(self) -> list[dict[str, Any]]:
        """Connected nodes and what they acknowledged."""
        nodes: list[dict[str, Any]] = self._json("/v1/proxies")["proxies"]
        return nodes

    def snapshot(self) -> bytes:
        """The decision snapshot, as one serialised SnapshotDelta."""
        return self._get("/v1/snapshot", {"accept": "application/x-protobuf"})

    def _json(self, target: str) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self._get(target, {}))
        return value

    def _get(self, target: str, headers: Mapping[str, str]) -> bytes:
        try:
            request = urllib.request.Request(f"{self._api}{target}", headers=dict(headers))  # noqa: S310 - from --api
            with self._opener.open(request, timeout=_TIMEOUT_S) as response:
                body: bytes = response.read()
                return body
        except urllib.error.HTTPError as error:
            error.close()
            _fail(f"The operator at {self._api} answered {error.code}: is it another program, or another version?")
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            _fail(f"No operator answers at {self._api} ({reason}): start one with `ff up DIR`, or name it with --api.")


def _fail(sentence: str) -> NoReturn:
    print(sentence, file=sys.stderr)
    raise SystemExit(1)
