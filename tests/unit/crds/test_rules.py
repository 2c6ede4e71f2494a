"""Every rule: a document that keeps it, one that breaks it, and what is said then. In Python and in CEL alike."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import cache

import fastforward_crds as crds
import pytest
from cel import cel  # the engine: the package's own __init__.py may be that of xds-protos
from fastforward_crds.generate.schema import Schema, structural_schema
from fastforward_crds.meta import Model, Rule
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from support.documents import Document, broken, values
from support.rule_case import Case
from support.rule_cases import CASES


def models(base: type[Model] = Model) -> Iterator[type[Model]]:
    for model in base.__subclasses__():
        if model.__module__.startswith(crds.__name__):
            yield model
            yield from models(model)


SCHEMAS = {model: structural_schema(model) for model in models()}
RULED = sorted({model for model in models() if model.rules_cel}, key=lambda model: model.__name__)


@contextmanager
def without_rules() -> Generator[None, None, None]:
    """Models that keep no rule, so that one can be asked what it says of a document that breaks it."""
    with pytest.MonkeyPatch.context() as patch:
        for model in RULED:
            patch.setattr(model, "rules_cel", ())
        yield


def with_defaults(value: object, schema: Schema) -> object:
    """The value as the API server hands it to CEL: without null, and with defaults filled in, down to the leaves."""
    if isinstance(value, dict):
        known = schema["properties"]
        filled = {name: inner["default"] for name, inner in known.items() if "default" in inner}
        filled |= {name: inner for name, inner in value.items() if inner is not None}
        return {name: with_defaults(inner, known[name]) for name, inner in filled.items()}
    return [with_defaults(item, schema["items"]) for item in value] if isinstance(value, list) else value


def verdicts(model: type[Model], rules: tuple[Rule, ...], document: Document) -> list[tuple[str, bool, object]]:
    """What Python and what CEL say of each rule; raises ValidationError where the document does not fit the schema."""
    with without_rules():
        instance = model.model_validate(document, by_alias=True, by_name=False)
    seen = with_defaults(document, SCHEMAS[model])
    return [(rule.message, rule.holds(instance), cel.evaluate(rule.expression, {"self": seen})) for rule in rules]


@cache
def written(model: type[Model]) -> st.SearchStrategy[Document]:
    """Mappings that users may write for the model, most of them sound."""
    sound = values(SCHEMAS[model])
    return sound | broken(sound)


def rule_of(case: Case) -> Rule:
    return next(rule for rule in case.model.rules_cel if rule.message == case.message)


def test_every_rule_has_a_case_and_every_case_a_rule() -> None:
    rules = {(model.__name__, rule.message, rule.field) for model in RULED for rule in model.rules_cel}
    # A model that adds no rules to those of its base shares them.
    assert rules == {(each.model.__name__, each.message, each.field) for each in CASES}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_document_that_keeps_the_rule_is_accepted(case: Case) -> None:
    for document in case.kept:
        case.model.model_validate(document, by_alias=True, by_name=False)
        assert [said for said in verdicts(case.model, (rule_of(case),), document) if said[1:] != (True, True)] == []


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_document_that_breaks_the_rule_is_refused_with_its_message(case: Case) -> None:
    for document in case.broken:
        with pytest.raises(ValidationError) as refused:
            case.model.model_validate(document, by_alias=True, by_name=False)
        assert refused.value.errors()[0]["msg"] == f"Value error, {case.field}\x1f{case.message}"
        assert verdicts(case.model, (rule_of(case),), document) == [(case.message, False, False)]


@pytest.mark.parametrize("model", RULED, ids=lambda model: model.__name__)
@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_python_and_cel_agree_on_every_rule(model: type[Model], data: st.DataObject) -> None:
    document = data.draw(written(model))
    try:
        said = verdicts(model, model.rules_cel, document)
    except ValidationError:
        assume(False)
        raise
    assert [each for each in said if each[1] is not each[2]] == []
