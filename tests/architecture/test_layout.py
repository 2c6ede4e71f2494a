"""Where files lie, what they are called, how long they are and what they never mention."""

import re
import tomllib

import pytest

from support.repository import PACKAGES, ROOT, is_generated, tracked_files

MAX_LINES = 400
VAGUE_NAMES = re.compile(r"(utils?|helpers?|common|managers?)", re.IGNORECASE)
BINARY_SUFFIXES = {".binpb", ".png", ".jpg", ".gif", ".ico", ".woff2", ".pb", ".gz"}


def join(*parts: str) -> str:
    """Joins the halves of a word that this file, itself tracked, must not contain."""
    return "".join(parts)


# What only the makers' own machines and papers know, each with the files that need it all the same.
NEVER_MENTIONED = (
    (join(r"/wo", r"rk/(main|shared|\.)"), ()),
    (join(r"/tmp/", r"ff\b"), ()),
    (join(r"\.\./", r"shared"), (".ci/run",)),
    (join(r"(?<![\w.])/ro", r"ot/[\w.]"), ()),
    (join(r"(?<![\w.])/ho", r"me/\w+/"), ()),
    (join(r"py", r"pi\.org|pythonho", r"sted\.org"), ("uv.lock",)),
    (join(r"(proxy|sum)\.gol", r"ang\.org|registry\.np", r"mjs\.org|deb\.deb", r"ian\.org|crat", r"es\.io"), ()),
    (join(r"repo1?\.mav", r"en\.org|repo\.mav", r"en\.apache\.org"), ()),
    (join(r"\biss", r"ues? (#|no\.? )?\d"), ()),
    (join(r"\biss", r"ues show\b|\b(this|next|later|previous|coming) iss", r"ues?\b"), ()),
    (join(r"\bsub-?ag", r"ents?\b|\bfoun", r"der\b|\bses", r"sions? of the project\b"), ()),
)


def lines_mentioning(pattern: str, allowed: tuple[str, ...]) -> list[str]:
    found = re.compile(pattern, re.IGNORECASE)
    texts = (path for path in tracked_files() if path.suffix not in BINARY_SUFFIXES and str(path) not in allowed)
    return [
        f"{path}:{number}: {line.strip()[:120]}"
        for path in texts
        for number, line in enumerate((ROOT / path).read_text(encoding="utf-8").splitlines(), 1)
        if found.search(line)
    ]


@pytest.mark.parametrize(("pattern", "allowed"), NEVER_MENTIONED, ids=map(str, range(len(NEVER_MENTIONED))))
def test_no_tracked_file_mentions_how_or_where_it_was_made(pattern: str, allowed: tuple[str, ...]) -> None:
    assert lines_mentioning(pattern, allowed) == []


def test_folders_named_like_standard_modules_are_no_packages() -> None:
    for folder in ("operator", "dataplane"):
        inits = {path.relative_to(ROOT) for path in (ROOT / folder).rglob("__init__.py")}
        assert {path for path in inits if "src" not in path.parts} == set()


def test_no_file_or_folder_has_a_name_that_says_nothing() -> None:
    assert [
        str(path) for path in tracked_files() if any(VAGUE_NAMES.fullmatch(part.split(".")[0]) for part in path.parts)
    ] == []


def test_no_python_file_is_longer_than_four_hundred_lines() -> None:
    own = (path for path in tracked_files() if path.suffix in {".py", ".pyi"} and not is_generated(path))
    lengths = {str(path): len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path in own}
    assert {path: length for path, length in lengths.items() if length > MAX_LINES} == {}


def test_the_workspace_is_the_packages_and_the_examples() -> None:
    workspace = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["workspace"]["members"]
    products = {member for member in workspace if not member.startswith("examples/")}
    assert products == {package.folder for package in PACKAGES}


def test_every_rule_of_the_type_checker_is_an_error_but_the_four_with_a_reason() -> None:
    checker = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ty"]
    assert checker["rules"]["all"] == "error"
    assert len(checker["rules"]) == 5
    assert "overrides" not in checker


def test_every_package_is_typed_and_named_as_its_folder_says() -> None:
    for package in PACKAGES:
        project = tomllib.loads((ROOT / package.folder / "pyproject.toml").read_text())["project"]
        assert project["name"] == package.distribution
        assert project["description"]
        assert (ROOT / package.src / package.module / "py.typed").is_file()
        assert [path.name for path in (ROOT / package.src).iterdir() if path.is_dir()] == [package.module]


def test_the_patterns_find_what_they_forbid() -> None:
    samples = (
        join("see /wo", "rk/main"),
        join("in /tmp/", "ff/x"),
        join("from ../", "shared/lab"),
        join("at /ro", "ot/.cache"),
        join("at /ho", "me/me/x"),
        join("from https://py", "pi.org/simple"),
        join("from https://proxy.gol", "ang.org"),
        join("from https://repo1.mav", "en.org"),
        join("as iss", "ue 3 says"),
        join("left to the next iss", "ues"),
        join("a sub", "ag", "ent wrote it"),
    )
    for (pattern, _), sample in zip(NEVER_MENTIONED, samples, strict=True):
        assert re.search(pattern, sample, re.IGNORECASE), pattern
