"""Every field of routes that is served where it stands is imported, or it is told that it is not: none is dropped.

A field that is said to be taken makes what is written another one: each is changed alone, in a rule where it counts.
"""

from __future__ import annotations

import copy
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
import yaml
from fastforward_crds.gatewayapi.grpcroute import GrpcRouteSpec
from fastforward_crds.gatewayapi.httproute import HttpRouteSpec
from fastforward_operator.importing import Verdict, import_files
from pydantic import BaseModel

from support.gatewayapi import backend, foreign, gateway, listener
from support.resources import resource

Document = dict[str, Any]
FILTERS = "rules.0.filters"
ALONE = ("rules.backendRefs.filters",)
"""What is told as a whole."""


def fields(model: type[BaseModel], above: str = "") -> Iterator[str]:
    """The names of all that a model reads, as documents have them."""
    for found in model.model_fields.values():
        name = f"{above}{found.alias}"
        inner = [each for each in parts(found.annotation) if isinstance(each, type) and issubclass(each, BaseModel)]
        if not inner or name in ALONE:
            yield name
        for each in inner if name not in ALONE else ():
            yield from fields(each, f"{name}.")


def parts(annotation: Any) -> Iterator[Any]:  # noqa: ANN401 - whatever may be annotated
    if get_origin(annotation) in (Annotated, Union, types.UnionType, tuple):
        for each in get_args(annotation):
            yield from parts(each)
    else:
        yield annotation


FULL: Document = {
    "parentRefs": [{"name": "public", "sectionName": "http"}],
    "hostnames": ["a.test"],
    "rules": [
        {
            "name": "one",
            "matches": [
                {
                    "path": {"type": "PathPrefix", "value": "/a"},
                    "method": "GET",
                    "headers": [{"type": "Exact", "name": "x-a", "value": "1"}],
                    "queryParams": [{"type": "Exact", "name": "q", "value": "1"}],
                }
            ],
            "filters": [
                {
                    "type": kind,
                    part: {
                        "set": [{"name": "x-s", "value": "1"}],
                        "add": [{"name": "x-t", "value": "1"}],
                        "remove": ["x-r"],
                    },
                }
                for kind, part in (
                    ("RequestHeaderModifier", "requestHeaderModifier"),
                    ("ResponseHeaderModifier", "responseHeaderModifier"),
                )
            ]
            + [
                {"type": "RequestMirror", "requestMirror": {"backendRef": backend("copy"), "percent": 50}},
                {
                    "type": "RequestMirror",
                    "requestMirror": {"backendRef": backend("copy"), "fraction": {"numerator": 1, "denominator": 2}},
                },
                {
                    "type": "URLRewrite",
                    "urlRewrite": {
                        "hostname": "b.test",
                        "path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/b", "replaceFullPath": "/c"},
                    },
                },
                {
                    "type": "CORS",
                    "cors": {
                        "allowOrigins": ["https://a.test"],
                        "allowCredentials": True,
                        "allowMethods": ["GET"],
                        "allowHeaders": ["x-a"],
                        "exposeHeaders": ["x-b"],
                        "maxAge": 5,
                    },
                },
            ],
            "backendRefs": [backend("web", weight=1), backend("other", weight=1)],
            "timeouts": {"request": "9s", "backendRequest": "5s"},
            "retry": {"codes": [502, 503, 504], "attempts": 2, "backoff": "10ms"},
            "sessionPersistence": {
                "type": "Cookie",
                "sessionName": "x-sid",
                "absoluteTimeout": "1h",
                "idleTimeout": "10m",
                "cookieConfig": {"lifetimeType": "Permanent"},
            },
        }
    ],
}
MOVED: Document = {
    "parentRefs": [{"name": "public"}],
    "rules": [
        {
            "filters": [
                {
                    "type": "RequestRedirect",
                    "requestRedirect": {
                        "scheme": "https",
                        "hostname": "b.test",
                        "port": 8443,
                        "statusCode": 301,
                        "path": {"type": "ReplaceFullPath", "replaceFullPath": "/b", "replacePrefixMatch": "/c"},
                    },
                }
            ]
        }
    ],
}
CALLS: Document = {
    "parentRefs": [{"name": "public"}],
    "rules": [
        {
            "matches": [{"method": {"type": "Exact", "service": "a.B", "method": "C"}}],
            "backendRefs": [backend("web")],
        }
    ],
}
_NAMED = {"name": "second", "value": "2"}
_MODIFIERS = {
    f"{FILTERS}.{place}.{part}.{inner}": value
    for place, part in enumerate(("requestHeaderModifier", "responseHeaderModifier"))
    for action in ("set", "add")
    for inner, value in ((f"{action}.0.name", "x-other"), (f"{action}.0.value", "2"))
} | {
    f"{FILTERS}.{place}.{part}.remove": ["x-other"]
    for place, part in enumerate(("requestHeaderModifier", "responseHeaderModifier"))
}
_OBJECT = {"group": "gateway.fastforward.dev", "kind": "Upstream", "namespace": "other", "name": "third", "port": 81}
_SHARES = {f"rules.0.backendRefs.0.{name}": value for name, value in {**_OBJECT, "weight": 3}.items()}
_COPIES = {f"{FILTERS}.2.requestMirror.backendRef.{name}": value for name, value in _OBJECT.items()}
_PARENTS = {
    "parentRefs.0.group": "example.com",
    "parentRefs.0.kind": "ListenerSet",
    "parentRefs.0.namespace": "other",
    "parentRefs.0.name": "none",
    "parentRefs.0.sectionName": "other",
    "parentRefs.0.port": 8080,
}
HTTP: Document = {
    **_PARENTS,
    "hostnames": ["b.test"],
    "rules.0.name": "two",
    "rules.0.matches.0.path.type": "Exact",
    "rules.0.matches.0.path.value": "/b",
    "rules.0.matches.0.method": "POST",
    **{
        f"rules.0.matches.0.{part}.0.{name}": value
        for part in ("headers", "queryParams")
        for name, value in (("type", "RegularExpression"), ("name", "second"), ("value", "2"))
    },
    f"{FILTERS}.0.type": "ResponseHeaderModifier",
    **_MODIFIERS,
    **_COPIES,
    f"{FILTERS}.2.requestMirror.percent": 20,
    f"{FILTERS}.3.requestMirror.fraction.numerator": 2,
    f"{FILTERS}.3.requestMirror.fraction.denominator": 4,
    f"{FILTERS}.4.urlRewrite.hostname": "c.test",
    f"{FILTERS}.4.urlRewrite.path.type": "ReplaceFullPath",
    f"{FILTERS}.4.urlRewrite.path.replacePrefixMatch": "/d",
    f"{FILTERS}.5.cors.allowOrigins": ["https://b.test"],
    f"{FILTERS}.5.cors.allowCredentials": False,
    f"{FILTERS}.5.cors.allowMethods": ["POST"],
    f"{FILTERS}.5.cors.allowHeaders": ["x-z"],
    f"{FILTERS}.5.cors.exposeHeaders": ["x-z"],
    f"{FILTERS}.5.cors.maxAge": 7,
    **_SHARES,
    "rules.0.backendRefs.0.filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["x-a"]}}],
    "rules.0.timeouts.request": "8s",
    "rules.0.timeouts.backendRequest": "4s",
    "rules.0.retry.codes": [409],
    "rules.0.retry.attempts": 3,
    "rules.0.retry.backoff": "20ms",
    "rules.0.sessionPersistence.type": "Header",
    "rules.0.sessionPersistence.sessionName": "x-other",
    "rules.0.sessionPersistence.absoluteTimeout": "2h",
    "rules.0.sessionPersistence.idleTimeout": "20m",
    "rules.0.sessionPersistence.cookieConfig.lifetimeType": "Session",
}
REDIRECTED: Document = {
    f"{FILTERS}.0.requestRedirect.{name}": value
    for name, value in {
        "scheme": "http",
        "hostname": "c.test",
        "port": 8444,
        "statusCode": 302,
        "path.type": "ReplacePrefixMatch",
        "path.replaceFullPath": "/d",
    }.items()
}
CALLED: Document = {
    "rules.0.matches.0.method.type": "RegularExpression",
    "rules.0.matches.0.method.service": "a.D",
    "rules.0.matches.0.method.method": "E",
}
UNREAD = (
    f"{FILTERS}.4.urlRewrite.path.replaceFullPath",
    f"{FILTERS}.0.requestRedirect.path.replacePrefixMatch",
)
"""Of two of which one counts, by the type, the other one: nobody reads it where it stands, either."""
CASES = [
    *(("HTTPRoute", FULL, place, value) for place, value in HTTP.items()),
    *(("HTTPRoute", MOVED, place, value) for place, value in REDIRECTED.items()),
    *(("GRPCRoute", CALLS, place, value) for place, value in CALLED.items()),
]


def flat(place: str) -> str:
    return ".".join(part for part in place.split(".") if not part.isdigit())


def test_each_field_that_is_served_has_its_case() -> None:
    known = {flat(place) for _, _, place, _ in CASES} | {flat(place) for place in UNREAD}
    assert set(fields(HttpRouteSpec)) - known == set()
    # The rest of it is the same as of an HTTPRoute.
    assert set(fields(GrpcRouteSpec)) - known == set()


def read(folder: Path, kind: str, spec: Document) -> tuple[list[Document], dict[str, Verdict]]:
    """What is written, and the verdicts on the route's fields."""
    objects = [gateway(listener(80), listener(8080, "other")), foreign(kind, "web", spec)]
    (folder / "in.yaml").write_text(yaml.safe_dump_all([*objects, resource("Upstream", "third", {})]))
    made = import_files([folder / "in.yaml"])
    notes = {note.field: note.verdict for note in made.notes if note.object.startswith(kind)}
    return [each.document for each in made.written], notes


@pytest.mark.parametrize(("kind", "spec", "place", "value"), CASES, ids=[place for _, _, place, _ in CASES])
def test_a_field_changes_what_is_written_or_it_is_told(
    tmp_path: Path,
    kind: str,
    spec: Document,
    place: str,
    value: Any,  # noqa: ANN401
) -> None:
    changed = put(spec, place, value)
    before, after = read(tmp_path, kind, spec), read(tmp_path, kind, changed)
    written = before[0] != after[0]
    told = any(
        verdict is not Verdict.TAKEN and (flat_field(field) == flat(place) or flat_field(field) in above(flat(place)))
        for field, verdict in after[1].items()
    )
    assert written or told


def flat_field(field: str) -> str:
    """`spec.rules[0].name` -> `rules.name`."""
    return flat(field.removeprefix("spec.").replace("[", ".").replace("]", ""))


def above(place: str) -> set[str]:
    names = place.split(".")
    return {".".join(names[:end]) for end in range(1, len(names))}


def put(spec: Document, place: str, value: Any) -> Document:  # noqa: ANN401 - JSON
    made = copy.deepcopy(spec)
    *way, last = place.split(".")
    holder: Any = made
    for part in way:
        holder = holder[int(part) if part.isdigit() else part]
    holder[last] = value
    return made
