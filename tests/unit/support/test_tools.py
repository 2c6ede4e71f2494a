"""Programs are pinned, taken ready-made only when they are known, and what goes wrong is said in a sentence."""

from __future__ import annotations

import hashlib
import lzma
import os
from collections.abc import Generator
from pathlib import Path

import pytest

from support import tools
from support.tools import PROGRAMS, Program, ToolError

FAKE = b"#!/bin/sh\necho fake\n"
ETCD, HYPERKUBE = PROGRAMS[:2]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("FASTFORWARD_TOOLS", str(tmp_path / "cache"))
    monkeypatch.delenv("FASTFORWARD_TOOLS_SEED", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two ready programs, both of them two lines of shell."""
    folder = tmp_path / "seed"
    folder.mkdir()
    for made in (ETCD, HYPERKUBE):
        (folder / f"{made.name}.xz").write_bytes(lzma.compress(FAKE))
    monkeypatch.setenv("FASTFORWARD_TOOLS_SEED", str(folder))
    return folder


@pytest.fixture
def broken_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """A compiler that fails."""
    go = tmp_path / "go"
    go.write_text(
        '#!/bin/sh\n[ "$1" = version ] && echo go version go1.26.8 linux/amd64 && exit\necho no such module\nexit 1\n'
    )
    go.chmod(0o755)
    monkeypatch.setenv("GO", str(go))
    tools.go.cache_clear()
    yield
    tools.go.cache_clear()


def know(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    digest = hashlib.sha256(content).hexdigest()
    monkeypatch.setattr(tools, "checksums", lambda: {made.name: digest for made in PROGRAMS})


def test_every_program_has_a_known_checksum_and_every_checksum_a_program() -> None:
    assert set(tools.checksums()) == {made.name for made in PROGRAMS}


@pytest.mark.parametrize("made", PROGRAMS, ids=[made.name for made in PROGRAMS])
def test_a_pin_has_its_checksum_in_the_module(made: Program) -> None:
    assert f"{made.pin} {made.version} h1:" in (made.folder / "go.sum").read_text()


def test_every_module_is_that_of_a_program_or_read() -> None:
    found = {path.parent.name for path in tools.FOLDER.glob("*/go.mod")}
    assert found == {made.module for made in PROGRAMS} | tools.READ


def test_a_known_ready_program_is_taken_with_its_names(
    cache: Path, seed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    know(monkeypatch, FAKE)
    assert tools.main(HYPERKUBE.name) == 0
    path = tools.program("kubectl")
    assert path.is_relative_to(cache)
    assert path.read_bytes() == FAKE
    assert os.access(path, os.X_OK)
    assert f"taken from {seed}" in capsys.readouterr().out
    assert tools.main(HYPERKUBE.name) == 0
    assert f"in {cache}." in capsys.readouterr().out


@pytest.mark.usefixtures("cache", "seed", "broken_go")
def test_an_unknown_ready_program_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    know(monkeypatch, b"something else")
    assert tools.main(ETCD.name) == 1
    assert "another checksum" in capsys.readouterr().out


@pytest.mark.usefixtures("cache", "broken_go")
def test_a_failed_build_shows_what_the_compiler_said_and_leaves_nothing(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tools.main(ETCD.name) == 1
    said = capsys.readouterr().err.splitlines()
    assert said == ["no such module", f"etcd {ETCD.version} could not be built: see what Go says above."]
    assert [path.name for path in cache.iterdir()] == [".etcd.lock"]


@pytest.mark.usefixtures("cache")
def test_a_missing_program_is_told_with_the_remedy() -> None:
    with pytest.raises(ToolError, match=r"^kubectl v\S+ is not there: run make tools\.$"):
        tools.program("kubectl")


def test_an_unknown_name_is_told_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert tools.main("kubeadm") == 2
    assert capsys.readouterr().out.startswith("No such program: kubeadm. There are etcd, hyperkube")


def test_another_pin_is_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / ETCD.module
    module.mkdir()
    monkeypatch.setattr(tools, "FOLDER", tmp_path)
    homes = set()
    for version in ("v3.6.16", "v3.6.17"):
        (module / "go.mod").write_text(f"require {ETCD.pin} {version}\n")
        homes.add(tools.home(ETCD))
    assert len(homes) == 2
