"""Files of ours that hold no resources: `ff-up.yaml` and route tests. Their mistakes are told like those of resources.

In: the path of a YAML file and a model. Out: the model, or an error with file, line, field and remedy. Called by
project and by the CLI.
"""

from __future__ import annotations

from pathlib import Path
from typing import Generic, TypeVar

from fastforward_crds import Model
from fastforward_crds.fielderror import field_errors
from pydantic import ValidationError

from fastforward_operator.providers.document import (
    Chunk,
    DocumentError,
    decode_document,
    first_line,
    locate_field,
    split_documents,
)

M = TypeVar("M", bound=Model)


class FileProblemError(Exception):
    """The file can't be used; the message begins with FILE:LINE."""


class Written(Generic[M]):
    """What a file says, and where it says it."""

    def __init__(self, path: Path, value: M, chunk: Chunk) -> None:
        self.path = path
        self.value = value
        self._chunk = chunk

    def place(self, field: str) -> str:
        """FILE:LINE of a field such as `tests[0].expect`."""
        return f"{self.path}:{locate_field(self._chunk, field)}"


def read_model(path: Path, model: type[M]) -> Written[M]:
    """Read the one document of the file; raises FileProblemError."""
    if path.exists() and not path.is_file():
        raise FileProblemError(f"{path}:1: This is no file: replace it by one, or remove it.")
    try:
        chunks = list(split_documents(path.read_bytes(), as_json=False))
    except OSError as error:
        raise FileProblemError(f"{path}:1: The file can't be read: {error.strerror}.") from None
    if len(chunks) > 1:
        raise FileProblemError(f"{path}:{chunks[1].line}: One document is wanted here: remove the others.")
    chunk = chunks[0] if chunks else Chunk(text=b"{}", line=1)
    try:
        return Written(path, model.model_validate(decode_document(chunk), by_alias=True, by_name=False), chunk)
    except DocumentError as error:
        raise FileProblemError(f"{path}:{chunk.line + error.line - 1}: {error.message}") from None
    except ValidationError as error:
        first = field_errors(error, model)[0]
        line = locate_field(chunk, first.field) if first.field else first_line(chunk)
        raise FileProblemError(f"{path}:{line}: {first.field or 'the document'}: {first.message}") from None
