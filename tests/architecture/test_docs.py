"""The documentation names what there is: kinds, reasons, settings, metrics, phases; and it builds without complaint."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastforward_compiler.generate
import fastforward_crds as crds
import fastforward_pipeline.generate
import pytest
import yaml
from fastforward_operator.kubernetes import webhookconfig

from support.repository import ROOT, tracked_files

DOCS = ROOT / "docs"
PAGES = sorted(
    str(path.relative_to("docs")) for path in tracked_files() if path.parts[0] == "docs" and path.suffix == ".md"
)
NOUNS = {kind.noun for kind in crds.KINDS}
COMPILER = ROOT / "operator/compiler/src/fastforward_compiler"
OPERATOR = ROOT / "operator/controller/src/fastforward_operator"
ENTRYPOINT = ROOT / "dataplane/entrypoint/src/fastforward_entrypoint"
KIT = ROOT / "dataplane/kit/src/fastforward_kit"
PHASES = {
    "crds": ROOT / "crds/src/fastforward_crds",
    "translate": COMPILER / "translate",
    "ir": COMPILER / "ir",
    "emit/envoy": COMPILER / "emit/envoy",
    "emit/decision": COMPILER / "emit/decision",
    "pipeline/compiled": ROOT / "dataplane/pipeline/src/fastforward_pipeline/compiled",
    "emit/kubernetes": COMPILER / "emit/kubernetes",
}


def read(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def pages_in(nav: object) -> Iterator[str]:
    """The pages of a navigation: lists of pages, of titles with a page, of titles with such a list."""
    match nav:
        case str(page):
            yield page
        case dict() | list():
            for inner in nav.values() if isinstance(nav, dict) else nav:
                yield from pages_in(inner)


def rows(page: str) -> list[list[str]]:
    """The cells of all tables of a page, heads included."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("|")]


@pytest.mark.parametrize(
    ("folder", "suffix", "besides"),
    [
        ("docs/reference", ".md", {"index", "formats", "reasons", "refusals"}),
        ("crds/examples", ".yaml", set()),
    ],
)
def test_every_kind_has_its_file_and_every_file_its_kind(folder: str, suffix: str, besides: set[str]) -> None:
    assert {path.stem for path in (ROOT / folder).glob(f"*{suffix}")} == NOUNS | besides


def test_every_kind_has_its_definition() -> None:
    assert {path.stem for path in (ROOT / "crds/generated").iterdir()} == {kind.plural for kind in crds.KINDS}


@pytest.mark.parametrize(
    ("page", "written"),
    [
        ("reference/reasons.md", fastforward_compiler.generate.write_page),
        ("reference/refusals.md", fastforward_pipeline.generate.write_page),
    ],
    ids=["reasons", "refusals"],
)
def test_the_pages_of_closed_lists_are_what_is_generated(page: str, written: Any) -> None:  # noqa: ANN401
    assert read(page) == written()


def test_the_navigation_names_every_page_once() -> None:
    nav = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"]
    assert sorted(pages_in(nav)) == PAGES


def test_decisions_are_numbered_listed_and_complete() -> None:
    records = [page.removeprefix("adr/") for page in PAGES if re.match(r"adr/\d", page)]
    assert [int(record[:4]) for record in records] == list(range(1, len(records) + 1))
    assert re.findall(r"\(([^)]+\.md)\)", read("adr/index.md")) == records
    for record in records:
        sections = re.findall(r"^## (\w+)", read(f"adr/{record}"), re.MULTILINE)
        assert sections == ["Context", "Decision", "Evidence", "Consequences"], record


def test_every_picture_is_drawn_from_its_source_as_it_stands() -> None:
    style = (DOCS / "diagrams/style.d2").read_bytes()
    sources = [path for path in (DOCS / "diagrams").glob("*.d2") if path.name != "style.d2"]
    assert {path.stem for path in sources} == {path.stem for path in (DOCS / "diagrams").glob("*.svg")}
    for source in sources:
        drawn_from = hashlib.sha256(style + source.read_bytes()).hexdigest()
        assert drawn_from in source.with_suffix(".svg").read_text(), f"{source.name} changed: run make diagrams"


def test_each_row_of_the_registry_names_the_phases_that_the_tree_has() -> None:
    for kind in crds.KINDS:
        there = [phase for phase, folder in PHASES.items() if (folder / f"{kind.noun}.py").is_file()]
        assert list(kind.phases) == there, kind.noun


def test_the_table_of_phases_is_the_registry() -> None:
    head, _, *table = rows(read("walks/noun.md"))
    assert head == ["Noun", *PHASES]
    told = {
        noun: tuple(phase for phase, cell in zip(PHASES, cells, strict=True) if cell == "yes") for noun, *cells in table
    }
    assert told == {kind.noun: kind.phases for kind in crds.KINDS}


def test_the_page_of_statuses_names_what_programmed_says() -> None:
    said = re.findall(r'return kind, "(\w+)", "(\w+)"', (OPERATOR / "status.py").read_text())
    told = {(row[0], row[1].strip("`")) for row in rows(read("concepts/status.md"))}
    assert said
    assert set(said) <= told


PROGRAMS = pytest.mark.parametrize(
    ("prefix", "modules"),
    [
        ("FF_", [OPERATOR / "settings.py"]),
        ("FF_ENTRYPOINT_", [ENTRYPOINT / "settings.py", KIT / "settings.py"]),
    ],
)


@PROGRAMS
def test_settings_are_documented(prefix: str, modules: list[Path]) -> None:
    source = "\n".join(module.read_text() for module in modules)
    fields = set(re.findall(r"^    ([a-z_]+): ", source, re.MULTILINE))
    # What a process of several tells those that it starts is said by nobody else.
    told = fields - {"worker", "worker_socket", "worker_lifeline"}
    page = read("operations/files.md")
    assert {name for name in told if f"`{prefix}{name.upper()}`" not in page} == set()


@PROGRAMS
def test_documented_variables_are_settings(prefix: str, modules: list[Path]) -> None:
    source = "\n".join(module.read_text() for module in modules)
    variables = re.findall(rf"`({prefix}[A-Z_]+)`", read("operations/files.md"))
    own = [name for name in variables if prefix == "FF_ENTRYPOINT_" or not name.startswith("FF_ENTRYPOINT_")]
    assert own
    assert [name for name in own if f"    {name.removeprefix(prefix).lower()}: " not in source] == []


def test_the_page_of_admission_says_which_kinds_need_an_answer() -> None:
    told = {verdict.split(":")[0].split(",")[0]: kinds for kinds, verdict, *_ in rows(read("operations/admission.md"))}
    every = {kind.name for kind in crds.KINDS}
    assert told["refused"] == ", ".join(sorted(webhookconfig.SECURITY))
    assert told["taken"] == ", ".join(sorted(every - webhookconfig.SECURITY))


def test_documented_metrics_are_counted() -> None:
    source = (OPERATOR / "telemetry.py").read_text() + "".join(path.read_text() for path in ENTRYPOINT.rglob("*.py"))
    metrics = set(re.findall(r"`((?:ff|fastforward)_[a-z_]+)", read("operations/observability.md")))
    assert metrics
    assert {name for name in metrics if f'"{name.removesuffix("_total")}"' not in source} == set()


@pytest.mark.parametrize("page", PAGES)
def test_resources_shown_on_a_page_are_valid(page: str) -> None:
    for block in re.findall(r"```yaml\n(.*?)```", read(page), re.DOTALL):
        for document in yaml.safe_load_all(block):
            if isinstance(document, dict) and "apiVersion" in document:
                assert not isinstance(crds.parse_resource(document), crds.Invalid), block


def test_the_site_builds_strictly_and_fetches_nothing(tmp_path: Path) -> None:
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    shutil.copytree(DOCS, tmp_path / "docs")
    built = subprocess.run(
        [Path(sys.executable).with_name("zensical"), "build", "--strict"],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    for page in (tmp_path / "site").rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert re.findall(r'<(?:script|img|iframe)[^>]*src="?(?:https?:)?//[^"\s>]+', text) == [], page
        assert re.findall(r'<link[^>]*rel="?stylesheet"?[^>]*href="?(?:https?:)?//', text) == [], page


def test_bad_messages_are_shown_by_tests_that_there_are() -> None:
    told = re.findall(r"`(test_\w+\.py)::(test_\w+)`", (DOCS / "operations/bad-messages.md").read_text())
    tests = dict.fromkeys(dict(told), "")
    for path in tracked_files():
        if path.name in tests:
            tests[path.name] += (ROOT / path).read_text()
    assert len(told) > 20
    for file, test in told:
        assert f"def {test}(" in tests[file], f"{file}::{test}"
