"""Which object a document says it is, or most likely is.

In: a decoded document, or the text of one that can't be decoded. Out: an ObjectRef, or None; whether it is clearly
somebody else's. Called by claims.
"""

from __future__ import annotations

import re
import sys

import fastforward_crds as crds
from fastforward_compiler.problem import ObjectRef

_KNOWN = frozenset(kind for _, kind in crds.INPUTS)
_GROUP = crds.API_VERSION.partition("/")[0]
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_KIND_LINE = re.compile(rb"^kind:[ \t]*[\"']?(\w+)", re.MULTILINE)
_METADATA = re.compile(rb"^metadata:[ \t]*\r?\n((?:[ \t]+.*(?:\r?\n|\Z))+)", re.MULTILINE)
_NAME_LINE = re.compile(rb"^[ \t]+name:[ \t]*[\"']?([-a-z0-9.]+)", re.MULTILINE)
_NAMESPACE_LINE = re.compile(rb"^[ \t]+namespace:[ \t]*[\"']?([-a-z0-9]+)", re.MULTILINE)


def claimed_ref(value: object) -> ObjectRef | None:
    """The object that a document says it is."""
    if not isinstance(value, dict) or not isinstance(value.get("kind"), str) or value["kind"] not in _KNOWN:
        return None
    metadata = value.get("metadata")
    if not isinstance(metadata, dict):
        return None
    name, namespace = metadata.get("name"), metadata.get("namespace", "default")
    if not all(isinstance(text, str) and _NAME.fullmatch(text) for text in (name, namespace)):
        return None
    return _ref(value["kind"], str(namespace), str(name))


def guess_ref(text: bytes) -> ObjectRef | None:
    """The object that an unreadable document most likely is."""
    kind, metadata = _KIND_LINE.search(text), _METADATA.search(text)
    if kind is None or metadata is None or kind[1].decode() not in _KNOWN:
        return None
    name, namespace = _NAME_LINE.search(metadata[1]), _NAMESPACE_LINE.search(metadata[1])
    if name is None or not _NAME.fullmatch(name[1].decode()):
        return None
    return _ref(kind[1].decode(), namespace[1].decode() if namespace else "default", name[1].decode())


def _ref(kind: str, namespace: str, name: str) -> ObjectRef:
    """An object of the cluster is the same in whatever namespace a document puts it."""
    return ObjectRef(
        kind=sys.intern(kind), namespace="" if kind in crds.CLUSTER_SCOPED else sys.intern(namespace), name=name
    )


def is_foreign(value: object) -> bool:
    """Whether it is clearly an object of others: of a kind that is not read, a group that is not ours, with a name."""
    if not isinstance(value, dict) or not isinstance(value.get("metadata"), dict):
        return False
    version, kind, name = value.get("apiVersion"), value.get("kind"), value["metadata"].get("name")
    if not (isinstance(version, str) and isinstance(kind, str) and isinstance(name, str)):
        return False
    return kind not in _KNOWN and version.partition("/")[0] != _GROUP
