"""The golden corpus: worlds in tests/corpus, and what compiling them yields.

A case is a folder: `case.yaml` (a claim as title; `pins`: the outputs kept beside it; `nouns`: the parts of the
Snapshot that snapshot.yaml shows; `at`: the time), `input.yaml` (the whole World), sometimes `before.yaml` (the World
before it) and `fetched.yaml` (documents by URL). `make golden` runs this module: it rewrites every pinned output and
removes others. Called by tests/corpus too, which compares.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import fastforward_crds as crds
import yaml
from fastforward_compiler import Compiler, ir, object_ref
from fastforward_compiler.problem import ObjectRef

from .credentials import apikeys_data, certificate_pem, jwks, private_key_pem, users_data, webhook_key
from .repository import ROOT

CORPUS = ROOT / "tests" / "corpus"
INPUTS = frozenset({"case.yaml", "input.yaml", "before.yaml", "fetched.yaml"})
NOUNS = tuple(part.name for part in dataclasses.fields(ir.Snapshot))
PLACEHOLDER = re.compile(r"\$\{(certificate|private-key|jwks|apikeys|users|webhook-key) ([^}]*)\}")

Object = crds.Resource | crds.Invalid


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One folder of the corpus."""

    folder: Path
    title: str
    pins: tuple[str, ...]
    nouns: tuple[str, ...] = NOUNS
    at: datetime | None = None

    @property
    def name(self) -> str:
        """NOUN/CASE."""
        return str(self.folder.relative_to(CORPUS))

    def documents(self, name: str) -> list[Any]:
        """The documents of one of its files; none when it has no such file."""
        path = self.folder / name
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        return [_fill(document) for document in yaml.safe_load_all(text) if document is not None]

    def objects(self, name: str = "input.yaml") -> list[Object]:
        """The objects of one of its files."""
        return [crds.parse_resource(document) for document in self.documents(name)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What compiling a case yields."""

    case: Case
    snapshot: ir.Snapshot
    reports: Mapping[ObjectRef, ir.Report]
    delta: ir.Delta = field(default_factory=ir.Delta)
    """What the World changes in nothing, for emitters; in a case with a World before, what it changes in that."""


def cases() -> list[Case]:
    """Every case, by name."""
    return [_read_case(path.parent) for path in sorted(CORPUS.glob("*/*/case.yaml"))]


def _read_case(folder: Path) -> Case:
    said = yaml.safe_load((folder / "case.yaml").read_text(encoding="utf-8"))
    at = crds.parse_instant(said["at"]) if "at" in said else None
    nouns = tuple(said.get("nouns", NOUNS))
    return Case(folder=folder, title=said["title"], pins=tuple(said["pins"]), nouns=nouns, at=at)


def compile_case(case: Case) -> Outcome:
    """Compile the World before, if there is one, and then the World."""
    compiler = Compiler()
    before = {object_ref(value): value for value in case.objects("before.yaml")}
    compiler.apply(before)
    after = {object_ref(value): value for value in case.objects()}
    fetched = {url: text.encode() for document in case.documents("fetched.yaml") for url, text in document.items()}
    delta = compiler.apply({**dict.fromkeys(before.keys() - after.keys()), **after}, fetched, case.at)
    return Outcome(case=case, snapshot=compiler.snapshot(), reports=compiler.reports(), delta=delta)


def render(outcome: Outcome) -> dict[str, str]:
    """The text of every output that the case pins, by file name."""
    return {f"{pin}.yaml": OUTPUTS[pin](outcome) for pin in outcome.case.pins}


def render_status(outcome: Outcome) -> str:
    """Each object: `fine`, or its Problems and the policies in force."""
    said: dict[str, Any] = {}
    for ref, report in outcome.reports.items():
        parts: dict[str, Any] = {}
        if report.effective:
            parts["effective"] = list(report.effective)
        if report.problems:
            parts["problems"] = [
                f"{found.condition} {found.reason} at {found.field or '(the object)'}: {found.message}"
                for found in report.problems
            ]
        if report.verdicts:
            parts["verdicts"] = [_verdict(verdict) for verdict in report.verdicts]
        if report.parts:
            parts["parts"] = {_place(part): _part(part) for part in report.parts}
        said[str(ref)] = parts or "fine"
    return dump(said)


def _place(part: ir.Part) -> str:
    return " ".join(f"{name}={value}" for name, value in part.place if value != "gateway.networking.k8s.io")


def _part(part: ir.Part) -> Any:  # noqa: ANN401
    """`fine`, or what is said of it; of a listener also what it takes and has."""
    said: dict[str, Any] = (
        {"takes": f"{part.attached} of {', '.join(part.kinds) or 'none'}"}
        if "name=" in _place(part) and len(part.place) == 1
        else {}
    )
    wrong = [_verdict(verdict) for verdict in part.verdicts if verdict.holds == (verdict.type == "Conflicted")]
    if wrong:
        said["verdicts"] = wrong
    if not part.serves:
        said["serves"] = False
    return said or "fine"


def _verdict(verdict: ir.Verdict) -> str:
    return f"{verdict.type}={verdict.holds} {verdict.reason} {verdict.message}".strip()


def render_snapshot(outcome: Outcome) -> str:
    """The nouns that the case asks for, without defaults and placements."""
    parts = {noun: [plain(value) for value in getattr(outcome.snapshot, noun)] for noun in outcome.case.nouns}
    return dump({noun: values for noun, values in parts.items() if values}, flow=True)


def render_placement(outcome: Outcome) -> str:
    """Where the stages of each entry run, and why."""
    return dump(
        {
            table.name: {
                entry.id: {
                    placed.stage: f"{placed.placement}: {placed.why}"
                    for placed in entry.placements
                    if placed.placement is not ir.Placement.NONE
                }
                | ({"failOpen": True} if entry.fail_open else {})
                for entry in table.entries
            }
            for table in outcome.snapshot.tables
        }
    )


def render_outputs(outcome: Outcome) -> str:
    """What must be acknowledged before each object is Programmed."""
    return dump(
        {str(ref): sorted(f"{noun} {name}" for noun, name in report.outputs) for ref, report in outcome.reports.items()}
    )


OUTPUTS: Mapping[str, Callable[[Outcome], str]] = {
    "status": render_status,
    "snapshot": render_snapshot,
    "placement": render_placement,
    "outputs": render_outputs,
}
"""What can be pinned, by name; the file is NAME.yaml."""


def plain(value: Any) -> Any:  # noqa: ANN401
    """IR values as mappings and lists that a person reads: no defaults, no secrets, no placements."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        shown = {
            part.name: plain(getattr(value, part.name))
            for part in dataclasses.fields(value)
            if getattr(value, part.name) != part.default and part.name != "placements"
        }
        tagged = ir.Destination | ir.Jwt | ir.ApiKeyHeader | ir.BasicPasswords | ir.OidcLogin
        tag = {"kind": type(value).__name__} if isinstance(value, tagged) else {}
        return tag | shown
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, bytes):
        return _shown_octets(value)
    return [plain(item) for item in value] if isinstance(value, tuple) else value


def _shown_octets(value: bytes) -> str:
    if value.startswith(b'{"keys"'):
        return "keys " + " ".join(f"{key['kid']} {key['alg']}" for key in json.loads(value)["keys"])
    return "(octets)"


def dump(value: object, *, flow: bool = False) -> str:
    """YAML, one text a line; with `flow`, collections of plain values are on one line."""
    style = None if flow else False
    return yaml.safe_dump(value, sort_keys=False, default_flow_style=style, width=sys.maxsize, allow_unicode=True)


def _fill(value: Any) -> Any:  # noqa: ANN401
    """Put what must not be written down in place of `${certificate HOST ...}` and its like."""
    if isinstance(value, dict):
        return {key: _fill(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_fill(inner) for inner in value]
    found = PLACEHOLDER.fullmatch(value) if isinstance(value, str) else None
    return _made(found[1], found[2].split()) if found is not None else value


def _made(kind: str, words: list[str]) -> Any:  # noqa: ANN401
    match kind:
        case "certificate":
            return certificate_pem(*words)
        case "private-key":
            return private_key_pem(words[0])
        case "jwks":
            return jwks(*words)
        case "webhook-key":
            return webhook_key(words[0])
        case "users":
            return users_data(**dict(word.split("=", 1) for word in words))
    return apikeys_data(**dict(word.split("=", 1) for word in words))


def orphans(case: Case) -> Iterator[Path]:
    """Files of a case that are neither its inputs nor pinned."""
    kept = INPUTS | {f"{pin}.yaml" for pin in case.pins}
    return (path for path in sorted(case.folder.iterdir()) if path.name not in kept)


def rewrite() -> int:
    """Rewrite every pinned output; returns how many files changed."""
    changed = 0
    for case in cases():
        for path in orphans(case):
            path.unlink()
            changed += 1
        for name, text in render(compile_case(case)).items():
            path = case.folder / name
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                path.write_text(text, encoding="utf-8")
                changed += 1
    return changed


if __name__ == "__main__":
    if os.environ.get("CI", ""):
        sys.exit("The corpus is rewritten by people who look at the difference, not in CI.")
    sys.stdout.write(f"{rewrite()} files changed\n")
