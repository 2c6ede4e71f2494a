"""A compiler that takes documents, as tests write them."""

from __future__ import annotations

from collections.abc import Mapping

import fastforward_crds as crds
import pytest
from fastforward_compiler import Compiler, ir, object_ref
from fastforward_compiler.problem import ObjectRef, Reason

from support.resources import Document


class Bench:
    """A Compiler fed with documents, and what it says."""

    def __init__(self) -> None:
        self.compiler = Compiler()

    def apply(self, *documents: Document, fetched: Mapping[str, bytes | None] | None = None) -> ir.Delta:
        """Take in documents."""
        values = [crds.parse_resource(document) for document in documents]
        return self.compiler.apply({object_ref(value): value for value in values}, fetched)

    def delete(self, kind: str, name: str, namespace: str = "default") -> ir.Delta:
        """Take an object away."""
        return self.compiler.apply({ObjectRef(kind=kind, namespace=namespace, name=name): None})

    def report(self, kind: str, name: str, namespace: str = "default") -> ir.Report:
        """What is said of an object."""
        return self.compiler.reports()[ObjectRef(kind=kind, namespace=namespace, name=name)]

    def reasons(self, kind: str, name: str) -> list[Reason]:
        """Why an object is not fine, worst first."""
        return [found.reason for found in self.report(kind, name).problems]

    def entries(
        self, host: str = "example.com", tenant: str = "", edge: str = "default/public"
    ) -> tuple[ir.Entry, ...]:
        """The entries of one table."""
        tables = {table.name: table for table in self.compiler.snapshot().tables}
        name = f"{edge}|{host}#{tenant}"
        return tables[name].entries if name in tables else ()


@pytest.fixture
def bench() -> Bench:
    return Bench()
