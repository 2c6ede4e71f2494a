"""One rule of a kind, with documents that keep it and documents that break it. Made by rule_cases and others."""

from __future__ import annotations

from dataclasses import dataclass

from fastforward_crds.meta import Model

from support.documents import Document


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One rule, by its model and message, with documents of that model."""

    model: type[Model]
    message: str
    field: str
    kept: tuple[Document, ...]
    broken: tuple[Document, ...]

    def __str__(self) -> str:
        return f"{self.model.__name__}: {self.message}"


def case(model: type[Model], message: str, field: str, *, kept: list[Document], broken: list[Document]) -> Case:
    return Case(model=model, message=message, field=field, kept=tuple(kept), broken=tuple(broken))
