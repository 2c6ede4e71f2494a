"""Dockerfiles keep their promises: pinned bases, no root, no shell, what they copy exists, versions of one place."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.images.build import RECIPES, Recipe, members, uv_command, version
from support.images.context import context_files
from support.images.dockerfile import parse_dockerfile
from support.repository import ROOT, tracked_files

PINNED = re.compile(r"[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}")


def test_every_dockerfile_is_a_recipe() -> None:
    tracked = {str(path.parent) for path in tracked_files() if path.name == "Dockerfile"}
    assert {recipe.folder for recipe in RECIPES} == tracked


@pytest.mark.parametrize("recipe", RECIPES, ids=[recipe.name for recipe in RECIPES])
class TestDockerfile:
    def test_it_has_nothing_that_hadolint_warns_of(self, recipe: Recipe) -> None:
        hadolint = Path(sys.executable).with_name("hadolint")
        told = subprocess.run([hadolint, recipe.dockerfile], capture_output=True, text=True, check=False)
        assert told.stdout + told.stderr == ""

    def test_its_bases_are_pinned_by_digest(self, recipe: Recipe) -> None:
        bases = [stage.base for stage in parse_dockerfile(recipe.dockerfile.read_text())]
        assert [base for base in bases if not PINNED.fullmatch(base)] == []

    def test_it_runs_as_nobody_and_without_a_shell(self, recipe: Recipe) -> None:
        _, left = recipe.stages()
        user = left.last("USER").text
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
        assert left.last("ENTRYPOINT").arguments[0].startswith("/")

    def test_it_says_what_it_is(self, recipe: Recipe) -> None:
        labels = recipe.stages()[1].pairs("LABEL")
        told = {name.removeprefix("org.opencontainers.image."): value for name, value in labels.items()}
        assert told.keys() == {"title", "description", "licenses", "version"}
        assert (told["licenses"], told["version"]) == ("Apache-2.0", version())

    def test_it_takes_the_locked_versions_with_the_uv_of_the_makefile(self, recipe: Recipe) -> None:
        building, _ = recipe.stages()
        assert "--locked" in uv_command(building)
        (wanted,) = re.findall(r"^UV_VERSION := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert f"uv=={wanted}" in building.all("RUN")[0].words


def test_the_python_of_images_is_the_one_of_the_repository() -> None:
    wanted = (ROOT / ".python-version").read_text().strip()
    bases = [stage.base for recipe in RECIPES for stage in recipe.stages() if stage.base.startswith("python:")]
    assert {re.split(r"[:-]", base)[1] for base in bases} == {wanted}


def test_images_are_built_from_packages_and_the_lock_and_nothing_else() -> None:
    seen = set(context_files())
    assert {Path("pyproject.toml"), Path("uv.lock")} <= seen
    assert {path.relative_to(ROOT) for path in members().values()} <= seen
    assert {path.parts[0] for path in seen} <= {
        *("pyproject.toml", "uv.lock", ".python-version"),
        *(path.relative_to(ROOT).parts[0] for path in members().values()),
    }
