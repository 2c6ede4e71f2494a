"""No text of any resource adds a node to what is emitted, and Envoy accepts what comes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import fastforward_crds as crds
import pytest
from fastforward_compiler import ir
from fastforward_compiler.compile import Compiler, object_ref
from fastforward_compiler.emit.envoy import resolver as emit_resolver
from fastforward_compiler.emit.envoy import route as emit_route
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from security.injection import HOSTILE, SHAPES, Path, emit, structure, text_at, text_fields, with_text, world
from support.envoy_validate import validate
from support.resources import Document

WORLD = world(8080)
FIELDS = tuple(text_fields(WORLD))
LEAST_ACCEPTED = 80
"""Fields that take some hostile text, counted once for each text."""


def parsed(document: Document, namespace: str = "default") -> crds.Resource | None:
    """The resource; None when the schema refuses it."""
    made = crds.parse_resource({**document, "metadata": {**document["metadata"], "namespace": namespace}})
    return None if isinstance(made, crds.Invalid) else made


def compiled(objects: list[crds.Resource]) -> ir.Delta | None:
    """The compiled objects; None when there is a problem."""
    delta = Compiler().apply({object_ref(one): one for one in objects})
    fine = all(not report.problems for report in delta.reports.values() if report is not None)
    return delta if fine else None


OBJECTS = [one for one in map(parsed, WORLD) if one is not None]


def plain() -> Counter[str]:
    delta = compiled(OBJECTS)
    assert delta is not None
    return structure(emit(delta))


class Taken(NamedTuple):
    """A text that was accepted at a place."""

    path: Path
    text: str
    delta: ir.Delta

    @property
    def documents(self) -> list[Document]:
        return with_text(WORLD, self.path, self.text)

    @property
    def means_otherwise(self) -> bool:
        """Whether the text says something else by its form, as documented: stars in hosts, dots in claims."""
        if "hosts" in self.path or "allowOrigins" in self.path:
            return ("*" in self.text) != ("*" in text_at(WORLD, self.path))
        return str(self.path[-1]).endswith("Claim") and "." in self.text


def take(path: Path, text: str) -> Taken | None:
    """The world with the text at a place, in the first shape that is accepted there."""
    for shape in SHAPES:
        shaped = shape.format(text)
        changed = parsed(with_text(WORLD, path, shaped)[path[0]])
        if changed is not None:
            objects = [*OBJECTS[: path[0]], changed, *OBJECTS[path[0] + 1 :]]
            delta = compiled(objects)
            if delta is not None:
                return Taken(path, shaped, delta)
    return None


def intrusions(texts: Iterable[Taken]) -> list[str]:
    """Where a text changed the structure."""
    expected = plain()
    return [
        f"{taken.path}: {taken.text!r}"
        for taken in texts
        if not taken.means_otherwise and structure(emit(taken.delta)) != expected
    ]


@pytest.fixture(scope="module")
def accepted() -> list[Taken]:
    tried = (take(path, text) for path in FIELDS for text in HOSTILE)
    return [taken for taken in tried if taken is not None]


def test_no_hostile_text_changes_the_structure(accepted: list[Taken]) -> None:
    assert intrusions(accepted) == []
    assert len(accepted) >= LEAST_ACCEPTED


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(path=st.sampled_from(FIELDS), text=st.text(min_size=1, max_size=60))
def test_no_text_at_all_changes_the_structure(path: Path, text: str) -> None:
    taken = take(path, text)
    assert taken is None or taken.means_otherwise or structure(emit(taken.delta)) == EXPECTED


EXPECTED = plain()


def a_few_of_each(accepted: list[Taken]) -> Iterator[Taken]:
    """Three texts for each field, other ones for the next: Envoy takes its time with hundreds of listeners."""
    for number, path in enumerate(FIELDS):
        texts = [taken for taken in accepted if taken.path == path]
        turned = number % len(texts) if texts else 0
        yield from (texts[turned:] + texts[:turned])[:3]


def test_envoy_accepts_hostile_texts_that_the_schema_accepts(accepted: list[Taken]) -> None:
    objects = []
    for number, taken in enumerate(a_few_of_each(accepted)):
        edge, *others = taken.documents
        edge["spec"] = {**edge["spec"], "listeners": [{"name": "http", "port": 10_000 + number}]}
        found = [parsed(document, f"n{number}") for document in (edge, *others)]
        objects += [one for one in found if one is not None]
    delta = Compiler().apply({object_ref(one): one for one in objects})
    assert validate(emit(delta)) == ""


@pytest.mark.parametrize("claim", ["a..b", ".a", "a.", ".", "a.b.c", "https://a.example.com/b.c", "-", "a:b"])
@pytest.mark.parametrize("field", ["tenantClaim", "rolesClaim", "permissionsClaim"])
def test_envoy_accepts_every_claim_that_is_accepted(field: str, claim: str) -> None:
    path = next(path for path in FIELDS if path[-1] == field)
    taken = take(path, claim)
    assert taken is None or validate(emit(taken.delta)) == ""


def test_the_check_sees_a_build_that_takes_header_values_for_formats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emit_route, "header_value", lambda text: text)
    tried = (take(path, "%REQ(authorization)%") for path in FIELDS)
    assert intrusions(taken for taken in tried if taken is not None) != []


def test_the_check_sees_a_build_that_writes_hosts_into_scripts_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(emit_resolver, "lua_string", lambda text: f'"{text}"')
        hostile = emit_resolver.emit_resolve(['a|*."] = os.exit(), ["'])["resolve"]
    safe = emit_resolver.emit_resolve(['a|*."] = os.exit(), ["'])["resolve"]
    assert b"os.exit()" in hostile
    assert b"os.exit()" not in safe
