"""The Secret by which pods of the data plane prove who they are.

In: the object that they are made for, the Authority. Out: the Secret, and whether one that is there needs another in
its place. Called by dataplane before it applies pods.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from fastforward_compiler.emit.envoy import documents as sds_documents
from fastforward_compiler.emit.kubernetes import TLS_FOLDER, Names
from fastforward_compiler.problem import ObjectRef

from fastforward_operator.certificates import Certified, Subject, renew_at

from .authority import Authority, spiffe


def is_stale(found: Mapping[str, Any], authority: Authority) -> bool:
    """Whether it lacks what pods read of it, or is to be renewed."""
    # What others put beside it is none of our business, and may be no text.
    data = found.get("data") or {}
    files = {"ca.crt": authority.bundle, **sds_documents(TLS_FOLDER)}
    if any(data.get(name) != _encoded(text) for name, text in files.items()):
        return True
    try:
        certificate = base64.b64decode(data["tls.crt"]).decode()
        return authority.clock() >= renew_at(certificate) or not data["tls.key"]
    except (KeyError, ValueError):
        return True


def secret(ref: ObjectRef, names: Names, authority: Authority, namespace: str) -> dict[str, Any]:
    """What the pods find in their folder, with a new certificate."""
    files = dict(_files(authority.issue(_subject(ref, names, namespace)), authority.bundle))
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": names.metadata(namespace, names.secret),
        "type": "kubernetes.io/tls",
        "data": {name: _encoded(text) for name, text in files.items()},
    }


def _subject(ref: ObjectRef, names: Names, namespace: str) -> Subject:
    """Who the pods made for an Edge or a Workload are."""
    uri = spiffe(ref.namespace, ref.kind.lower(), ref.name)
    if ref.kind != "Workload":
        return Subject(name=names.base, uris=(uri,), client=True)
    host = f"{names.base}.{namespace}.svc"
    return Subject(name=names.base, hosts=(host,), uris=(uri,), client=True, server=True)


def _encoded(text: str) -> str:
    """As a Secret has it."""
    return base64.b64encode(text.encode()).decode()


def _files(certified: Certified, authorities: str) -> Iterator[tuple[str, str]]:
    yield "tls.crt", certified.certificate
    yield "tls.key", certified.key
    yield "ca.crt", authorities
    yield from sds_documents(TLS_FOLDER).items()
