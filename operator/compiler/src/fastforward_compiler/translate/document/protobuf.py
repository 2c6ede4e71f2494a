"""Descriptors: a FileDescriptorSet that is complete and whose names resolve.

In: base64. Out: a Document, or what is wrong. Called by translate/document.
"""

from __future__ import annotations

import base64
import binascii

from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.message import DecodeError

from . import Document


def read_descriptors(text: str) -> Document | str:
    """Returns the document, or what is wrong with it."""
    try:
        wire = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        return f"The descriptors are not in base64: {error}."
    try:
        described = descriptor_pb2.FileDescriptorSet.FromString(wire)
    except DecodeError:
        return "The document is no FileDescriptorSet: make it with `protoc --include_imports -o`."
    if not described.file:
        return "The document describes no file."
    wrong = _build(described)
    return wrong or Document(wire, described)


def _build(described: descriptor_pb2.FileDescriptorSet) -> str:
    """What does not resolve; empty when everything does."""
    pool = descriptor_pool.DescriptorPool()
    waiting = {file.name: file for file in described.file}
    while waiting:
        ready = [file for file in waiting.values() if not waiting.keys() & set(file.dependency)]
        if not ready:
            return f"The files {', '.join(sorted(waiting))[:200]} import each other."
        for file in ready:
            del waiting[file.name]
            missing = [name for name in file.dependency if not any(name == each.name for each in described.file)]
            if missing:
                return f"{file.name} imports {missing[0]}, which is not described: use `protoc --include_imports`."
            try:
                pool.AddSerializedFile(file.SerializeToString())
            except (TypeError, KeyError) as error:
                return f"{file.name} can't be resolved: {str(error)[:300]}."
    return ""
