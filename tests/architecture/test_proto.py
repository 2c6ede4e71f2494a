"""The wire types keep buf's rules and break nothing that the last release sends; both checks bite."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.repository import ROOT

PROTO = ROOT / "proto"
BUF = Path(sys.executable).with_name("buf")
ENVELOPE = "src/fastforward/message/v1/envelope.proto"
PUBLIC = frozenset({"connection", "message"})
"""What workloads of a product may speak. All else is spoken by parts of one release among themselves."""
IMPORT = re.compile(r'^import "fastforward/(\w+)/', re.MULTILINE)


def buf(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([BUF, *map(str, arguments)], capture_output=True, text=True, check=False)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The sources, to be changed."""
    return shutil.copytree(PROTO, tmp_path / "proto", ignore=shutil.ignore_patterns("*.py", "*.pyi"))


def replace(folder: Path, old: str, new: str) -> None:
    path = folder / ENVELOPE
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def broken(folder: Path) -> str:
    return buf("breaking", folder / "src", "--against", folder / "released.binpb").stdout


def test_they_are_well_named_and_break_nothing() -> None:
    assert (buf("lint", PROTO).stdout, broken(PROTO)) == ("", "")


def test_a_field_in_capitals_is_found(copied: Path) -> None:
    replace(copied, "string tenant = 10 ", "string Tenant = 10 ")
    assert "lower_snake_case" in buf("lint", copied).stdout


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("string tenant = 10 ", "string tenant = 110 ", "10"),
        ("string tenant = 10 ", "bytes tenant = 10 ", "changed type"),
        ("string tenant = 10 ", "string renter = 10 ", "changed name"),
    ],
    ids=["number", "type", "name"],
)
def test_what_breaks_the_last_release_is_found(copied: Path, old: str, new: str, said: str) -> None:
    replace(copied, old, new)
    assert said in broken(copied)


def test_a_rule_that_is_none_is_found(copied: Path) -> None:
    replace(copied, "repeated.max_items = 64", "repeated.min_items = -1")
    assert buf("lint", copied).returncode != 0


def test_public_types_say_so_and_need_no_internal_ones() -> None:
    for path in sorted((PROTO / "src/fastforward").glob("*/v1/*.proto")):
        text, package = path.read_text(), path.parent.parent.name
        about = " ".join(line.removeprefix("// ") for line in text.partition("syntax")[0].splitlines())
        assert ("A public interface." in about) == (package in PUBLIC), path
        assert package not in PUBLIC or set(IMPORT.findall(text)) <= PUBLIC, path


def test_whoever_reads_messages_need_not_have_the_validator() -> None:
    """A target that is written with these types has its own ideas of what to check."""
    told = "import sys; from fastforward.message.v1 import dispatch_pb2; print('protovalidate' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
