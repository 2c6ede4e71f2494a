"""The running operator as commands see it: its HTTP API, read only.

In: the base URL of the API. Out: objects, proxies, hops, messages, the decision snapshot; one sentence
and exit code 1 when nobody answers. Called by source and cluster.
"""

from __future__ import annotations

import http.client
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from fastforward.snapshot.v1 import snapshot_pb2

_TIMEOUT_S = 10.0


class OperatorClient:
    """Asks one operator."""

    def __init__(self, api: str) -> None:
        self._api = api.rstrip("/")
        if not self._api.startswith(("http://", "https://")):
            _fail(f"{api!r} is no address of an operator: name one such as http://127.0.0.1:9080 with --api.")
        # The operator is on this machine or inside the cluster: no proxy of the environment leads there.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def objects(self, *, kind: str = "", namespace: str = "", name: str = "") -> list[dict[str, Any]]:
        """Objects with their conditions; `kind`, `namespace` and `name` narrow them down."""
        wanted = {"kind": kind, "namespace": namespace, "name": name}
        query = urlencode({part: value for part, value in wanted.items() if value})
        return self._list(f"/v1/objects?{query}", "objects")

    def proxies(self) -> list[dict[str, Any]]:
        """Connected nodes and what they acknowledged."""
        return self._list("/v1/proxies", "proxies")

    def hops(self) -> list[dict[str, Any]]:
        """Hops of EntryPoints, as they are now."""
        return self._list("/v1/hops", "hops")

    def messages(self, id_: str) -> list[dict[str, Any]]:
        """What EntryPoints remember of a message, or of those of a request or a trace."""
        return self._list(f"/v1/messages/{quote(id_, safe='')}", "messages")

    def rendered(self) -> list[dict[str, Any]]:
        """What proxies should have."""
        return self._list("/v1/render?target=envoy", "resources")

    def metrics(self) -> str:
        """What Prometheus would be told."""
        return self._get("/metrics", {}).decode(errors="replace")

    def snapshot(self) -> snapshot_pb2.SnapshotDelta:
        """The decision snapshot."""
        from google.protobuf.message import DecodeError  # noqa: PLC0415 - get and status need none of it

        from fastforward.snapshot.v1 import snapshot_pb2  # noqa: PLC0415

        body = self._get("/v1/snapshot", {"accept": "application/x-protobuf"})
        try:
            return snapshot_pb2.SnapshotDelta.FromString(body)
        except DecodeError:
            self._fail_as_stranger("no snapshot")

    def _list(self, target: str, name: str) -> list[dict[str, Any]]:
        silent: object = ()
        try:
            answer = json.loads(self._get(target, {}))
            found: object = answer[name]
            silent = answer.get("silent", ())
        except (ValueError, LookupError, TypeError, AttributeError):
            found = None
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            self._fail_as_stranger(f"no list of {name}")
        for node in silent if isinstance(silent, list) else ():
            print(f"What {node} knows is not shown: it does not answer.", file=sys.stderr)
        return found

    def _fail_as_stranger(self, answer: str) -> NoReturn:
        _fail(f"What answers at {self._api} is no operator, or another version ({answer}): name another with --api.")

    def _get(self, target: str, headers: Mapping[str, str]) -> bytes:
        try:
            request = urllib.request.Request(f"{self._api}{target}", headers=dict(headers))  # noqa: S310 - from --api
            with self._opener.open(request, timeout=_TIMEOUT_S) as response:
                body: bytes = response.read()
                return body
        except urllib.error.HTTPError as error:
            with error:
                detail = _detail(error)
            _fail(f"The operator at {self._api} answered {error.code}: {detail}")
        except (http.client.HTTPException, OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            _fail(f"No operator answers at {self._api} ({reason}): start one with `ff up DIR`, or name it with --api.")


def _detail(answer: urllib.error.HTTPError) -> str:
    """What a refusal says of itself (RFC 9457)."""
    try:
        return str(json.loads(answer.read())["detail"])
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError):
        return "is it another program, or another version?"


def _fail(sentence: str) -> NoReturn:
    print(sentence, file=sys.stderr)
    raise SystemExit(1)
