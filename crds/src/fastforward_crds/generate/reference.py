"""From a kind to its page in the reference: every field with type, default, bounds and meaning, the rules, an example.

In: a row of the registry, the example's text. Out: Markdown. Called by the generator's command. The page is made from
the schema of the CRD, so it says what the API server does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from fastforward_crds.durations import BOUNDS_KEY
from fastforward_crds.formats import FORMAT_KEY, FORMATS
from fastforward_crds.meta import API_VERSION
from fastforward_crds.registry import KINDS, Kind

from . import NOTICE
from .crd import document_schema
from .schema import Schema

_HEAD = f"<!-- {NOTICE} -->\n"


def write_page(kind: Kind, example: str) -> str:
    """The page of one kind."""
    schema = document_schema(kind)
    fields, status = schema["properties"]["spec"], schema["properties"]["status"]
    return "\n".join(
        (
            _HEAD,
            f"# {kind.name}\n",
            f"{schema['description']}\n",
            f"`apiVersion: {API_VERSION}`, `kind: {kind.name}`; for kubectl also "
            + ", ".join(f"`{name}`" for name in (kind.plural, *kind.short))
            + ".\n",
            "## Example\n",
            f"```yaml\n{example.strip()}\n```\n",
            "## Fields\n",
            "A field may be left out unless it is **required**. Fields that are not listed are refused.\n",
            *_sections("spec", fields),
            "## Status\n",
            "The operator writes it; in a document that is read it is ignored. The [reasons](reasons.md) are few.\n",
            *_sections("status", status),
        )
    )


def write_index() -> str:
    """The page that lists the kinds."""
    rows = [(f"[{kind.name}]({kind.noun}.md)", document_schema(kind)["description"]) for kind in KINDS]
    return "\n".join(
        (
            _HEAD,
            "# Reference\n",
            f"All kinds belong to `{API_VERSION}` and live in a namespace.\n",
            *_table(("Kind", "What it says"), rows),
            "",
            "[Formats](formats.md): how texts are written. [Reasons](reasons.md): what a status may complain of.\n",
        )
    )


def write_formats() -> str:
    """The page of all formats of texts."""
    rows = [
        (
            f'<span id="{_anchor(_bare(form.name))}">{_bare(form.name)}</span>',
            f"{_escape(form.rule)}; at most {form.max_length} characters",
            _code(form.pattern),
            _code(form.example),
        )
        for form in FORMATS
    ]
    return "\n".join(
        (
            _HEAD,
            "# Formats\n",
            "How texts in resources are written. The patterns are regular expressions in RE2's syntax.\n",
            *_table(("Format", "How it is written", "Pattern", "Example"), rows),
            "",
        )
    )


def _sections(path: str, schema: Schema) -> Iterator[str]:
    """The section of a mapping, then those of the mappings in it."""
    required = schema.get("required", ())
    yield f"### `{path}` {{ #{_anchor(path)} }}\n"
    if "description" in schema:
        yield f"{schema['description']}\n"
    yield from _table(
        ("Field", "Type", "Default", "Meaning"),
        [
            (f"`{name}`", _type(f"{path}.{name}", inner), _default(name in required, inner), _meaning(inner))
            for name, inner in schema["properties"].items()
        ],
    )
    yield ""
    rules = schema.get("x-kubernetes-validations", ())
    for rule in rules:
        field = f" (`{rule['fieldPath'].removeprefix('.')}`)" if "fieldPath" in rule else ""
        yield f"- {_escape(rule['message'])}{field}"
    if rules:
        yield ""
    for name, inner in schema["properties"].items():
        if inner["type"] == "array" and inner["items"]["type"] == "object":
            yield from _sections(f"{path}.{name}[]", inner["items"])
        elif inner["type"] == "object":
            yield from _sections(f"{path}.{name}", inner)


def _type(path: str, schema: Schema) -> str:
    if "enum" in schema:
        return " · ".join(f"`{value}`" for value in schema["enum"])
    match schema["type"]:
        case "array":
            return _list(path, schema)
        case "object":
            return f"[mapping](#{_anchor(path)})"
        case "integer":
            return f"integer{_between(schema.get('minimum'), schema.get('maximum'))}"
        case "string":
            return _text(schema)
    return str(schema["type"])


def _list(path: str, schema: Schema) -> str:
    each = _type(f"{path}[]", schema["items"])
    bounds = _between(schema.get("minItems"), schema.get("maxItems"))
    if schema["x-kubernetes-list-type"] == "set":
        return f"list of {each}{bounds}, none twice"
    if schema["x-kubernetes-list-type"] == "map":
        return f"list of {each}{bounds}, no two with the same `{schema['x-kubernetes-list-map-keys'][0]}`"
    return f"list of {each}{bounds}"


def _text(schema: Schema) -> str:
    if FORMAT_KEY in schema:
        link = f"[{_bare(schema[FORMAT_KEY])}](formats.md#{_anchor(_bare(schema[FORMAT_KEY]))})"
        return link + _between(*schema.get(BOUNDS_KEY, (None, None)))
    length = _between(schema.get("minLength"), schema.get("maxLength"))
    return f"text{length} characters" if length else "text"


def _between(least: object, most: object) -> str:
    """Bounds, to follow what they bound."""
    if least is None or most is None:
        return f", at most {most}" if most is not None else f", at least {least}" if least is not None else ""
    return f", {least} to {most}"


def _default(required: bool, schema: Schema) -> str:
    if required:
        return "**required**"
    if "default" not in schema:
        return ""
    return "see there" if schema["type"] == "object" else _code(json.dumps(schema["default"]).strip('"'))


def _meaning(schema: Schema) -> str:
    return _escape(schema.get("description", "")).replace("\n\n", " ")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _code(text: str) -> str:
    """The text as code in a table, where a bar would end the cell."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "&#124;").replace("`", "&#96;")
    return f"<code>{escaped}</code>" if "&" in escaped else f"`{text}`"


def _escape(text: str) -> str:
    return text.replace("|", "\\|").replace("*.", "\\*.").replace(" * ", " \\* ")


def _bare(name: str) -> str:
    """The name of a format without its article."""
    return name.split(" ", 1)[1]


def _anchor(name: str) -> str:
    return name.replace("[]", "").replace(".", "-").replace(" ", "-").lower()
