"""Documents as users write them: what a kind's schema admits, and the same with something wrong in it.

Strategies for Hypothesis, made from the schemas of the CRDs. Most documents keep the rules (CEL) as well, some break
one: tests judge them with the models.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator
from typing import Any

import fastforward_crds as crds
from fastforward_crds.formats import FORMAT_KEY, FORMATS
from fastforward_crds.generate.crd import document_schema
from fastforward_crds.generate.schema import Schema
from hypothesis import strategies as st

Document = dict[str, Any]
Place = tuple[Any, Any]
"""A container and the key or index of something in it."""

EXAMPLES = {form.name: form.example for form in FORMATS}
KINDS = {kind.name: kind for kind in crds.KINDS}
SCHEMAS = {name: document_schema(kind) for name, kind in KINDS.items()}
EXCLUSIVE = (
    ("upstreams", "shards", "redirect", "respond"),
    ("secret", "configMap", "url"),
    ("jwt", "apiKey", "basic", "oidc"),
    ("endpoints", "dns", "service"),
    ("port", "portName"),
    ("header", "cookie", "address"),
    ("replacePrefix", "replacePath", "regex"),
)
"""Fields of which a mapping has one."""
TIED = (
    ("tls", "protocol", "HTTPS", "HTTP"),
    ("names", "from", "Selected", "All"),
    ("hashOn", "policy", "RingHash", "Random"),
    ("header", "key", "Header", "Subject"),
    ("header", "type", "Header", "Address"),
    ("rule", "kind", "Route", "Edge"),
)
"""A field, the field that says whether it is there, and that one's values with it and without it."""
INSTANTS = ("2026-12-24T18:00:00Z", "2026-12-24T18:00:00+01:00", "2027-01-01T00:00:00Z")
DURATIONS = ("1s", "1500ms", "5s", "1s500ms")
TEXTS = ("/", "/books", "/a/b.c", "/a?b=1", "a.*b", "ä")
NOT_TEXTS = (None, True, 0, -1, 5.0, 0.5, 1e30, 10**30, [], {}, [None], {"a": 1})
TEXTS_ELSEWHERE = ("", "5", "Exact", "a b", "ÄÖ", "x" * 5000, "host", "X-FF-Tenant", "*", "0s", "5001ms", "999h1ms")
FOREIGN = (*NOT_TEXTS, *TEXTS_ELSEWHERE)
"""What does not belong in most fields."""


def documents(kind: str) -> st.SearchStrategy[Document]:
    """Documents that fit the schema of the kind, though perhaps not its rules."""
    spec = values(SCHEMAS[kind]["properties"]["spec"])
    if kind == "AuthPolicy":  # nothing else says that one of the two is needed
        spec = spec.map(lambda spec: {"authorization": {"grants": [{"name": "any"}]}} | spec)
    name = st.sampled_from(["a", "books", "a.b-c"])
    return st.builds(lambda spec, name: document(kind, spec, name), spec, name)


def document(kind: str, spec: object, name: str = "a") -> Document:
    """One document of our group."""
    return {"apiVersion": crds.API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


def values(schema: Schema) -> st.SearchStrategy[Any]:
    """Values that fit the schema."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    return _BY_TYPE[schema["type"]](schema)


def _texts(schema: Schema) -> st.SearchStrategy[str]:
    if schema.get(FORMAT_KEY) == "a duration":
        return st.sampled_from(DURATIONS)
    if schema.get(FORMAT_KEY) == "an instant":
        return st.sampled_from(INSTANTS)
    least, most = schema.get("minLength", 0), schema["maxLength"]
    if "pattern" in schema:
        written = st.from_regex(schema["pattern"].removesuffix("$") + r"\Z")
        return st.just(EXAMPLES[schema[FORMAT_KEY]]) | written.filter(lambda text: len(text) <= most)
    return st.sampled_from(TEXTS).filter(lambda text: len(text) >= least) | st.text(min_size=least, max_size=9)


def _integers(schema: Schema) -> st.SearchStrategy[int]:
    return st.integers(schema["minimum"], schema["maximum"])


def _lists(schema: Schema) -> st.SearchStrategy[list[Any]]:
    least, most = schema.get("minItems", 0), min(3, schema["maxItems"])
    items = values(schema["items"])
    keys = schema.get("x-kubernetes-list-map-keys")
    if keys:
        return st.lists(items, min_size=least, max_size=most, unique_by=lambda item: item[keys[0]])
    return st.lists(items, min_size=least, max_size=most, unique=schema["x-kubernetes-list-type"] == "set")


def _mappings(schema: Schema) -> st.SearchStrategy[Document]:
    required = schema.get("required", [])
    fields = {name: values(inner) for name, inner in schema["properties"].items()}
    groups = [group for group in EXCLUSIVE if fields.keys() >= set(group)]
    single = {name for group in groups for name in group}
    return st.builds(
        lambda *parts: _tidy({name: value for part in parts for name, value in part.items()}, fields.keys()),
        st.fixed_dictionaries(
            {name: fields[name] for name in required},
            optional={name: field for name, field in fields.items() if name not in required and name not in single},
        ),
        *(st.one_of([_something(name, schema["properties"][name]) for name in group]) for group in groups),
    )


def _something(name: str, schema: Schema) -> st.SearchStrategy[Document]:
    """The field alone, with something in it."""
    empty = {"array": {"minItems": 1}, "boolean": {"enum": [True]}}
    return st.fixed_dictionaries({name: values(schema | empty.get(schema["type"], {}))})


def _tidy(mapping: Document, known: Collection[str]) -> Document:
    """The mapping with its fields in keeping with each other."""
    for field, selector, present, absent in TIED:
        if {field, selector} <= set(known):
            if mapping.get(field):
                mapping[selector] = present
            elif mapping.get(selector) == present:
                mapping[selector] = absent
    return mapping


_BY_TYPE: dict[str, Callable[[Schema], st.SearchStrategy[Any]]] = {
    "string": _texts,
    "integer": _integers,
    "boolean": lambda _: st.booleans(),
    "array": _lists,
    "object": _mappings,
}


def broken_documents(kind: str) -> st.SearchStrategy[Document]:
    """Documents of the kind with one thing changed; some are still fine."""
    return broken(documents(kind))


@st.composite
def broken(draw: st.DrawFn, sound: st.SearchStrategy[Document]) -> Document:
    """Mappings with one thing replaced, removed, doubled or added."""
    whole = copy.deepcopy(draw(sound))
    container, key = draw(st.sampled_from(list(places({"": whole}))[1:] or [({"": whole}, "")]))
    change = draw(st.sampled_from(["replace", "remove", "double", "add"]))
    if change == "replace":
        container[key] = draw(st.sampled_from(FOREIGN))
    elif change == "remove":
        del container[key]
    elif change == "double" and isinstance(container, list):
        container.append(copy.deepcopy(container[key]))
    elif isinstance(container, dict):
        container[draw(st.sampled_from(["unknown", "Name", "retry_on", "namE"]))] = draw(st.sampled_from(FOREIGN))
    return whole


def places(value: object) -> Iterator[Place]:
    """Every place below a value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield value, key
        yield from places(inner)
