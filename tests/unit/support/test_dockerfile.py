"""The builder reads a Dockerfile and a .dockerignore as an engine does."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from support.cluster.images import ImageError
from support.images.base import base_files
from support.images.build import RECIPES, needed_members, prune, refuse_others
from support.images.context import copy_context, is_left_out, rules
from support.images.dockerfile import parse_dockerfile

TEXT = """
# What it is.
FROM base:1@sha256:00 AS build
ENV A=1 \\
    # why
    B="two words"
RUN --mount=type=cache,target=/cache uv sync --locked
FROM other:2
COPY --from=build /app /app
USER 1:1
user 65532:65532
ENTRYPOINT ["/app/run", "it"]
"""


def test_stages_have_their_instructions() -> None:
    build, left = parse_dockerfile(TEXT)
    assert (build.base, build.name, left.base, left.name) == ("base:1@sha256:00", "build", "other:2", "")
    assert build.pairs("ENV") == {"A": "1", "B": "two words"}
    (run,) = build.all("RUN")
    assert (run.flags, run.words) == (("--mount=type=cache,target=/cache",), ["uv", "sync", "--locked"])
    assert left.last("USER").text == "65532:65532"
    assert left.last("ENTRYPOINT").arguments == ("/app/run", "it")


def test_the_shell_form_of_an_entry_point_is_refused() -> None:
    (stage,) = parse_dockerfile("FROM a\nENTRYPOINT /app/run it")
    with pytest.raises(ValueError, match="Expecting value"):
        stage.last("ENTRYPOINT").arguments  # noqa: B018 - reading it is what fails


@pytest.mark.parametrize(
    ("path", "left_out"),
    [
        ("README.md", True),
        ("pyproject.toml", False),
        ("src/a/b.py", False),
        ("src/a/__pycache__/b.pyc", True),
        ("src/Dockerfile", True),
        ("srcs/a.py", True),
        ("deep/in/here.py", False),
        ("deep/other.py", True),
    ],
)
def test_the_last_rule_that_matches_decides(path: str, left_out: bool) -> None:
    text = "*\n!pyproject.toml\n!src\n!deep/in\n# why\n**/__pycache__\n**/Dockerfile\n"
    assert is_left_out(path, rules(text)) == left_out


def test_a_copy_of_the_context_holds_nothing_else(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    for name in ("kept/a.py", "kept/__pycache__/a.pyc", "other/b.py"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).touch()
    (source / ".dockerignore").write_text("*\n!kept\n**/__pycache__\n")
    (target / "of the last time").mkdir(parents=True)
    copy_context(target, source)
    assert [str(path.relative_to(target)) for path in target.rglob("*")] == ["kept", "kept/a.py"]


def test_what_takes_an_engine_is_refused() -> None:
    (stage,) = parse_dockerfile("FROM a\nRUN apt-get install everything")
    with pytest.raises(ImageError, match="nobody does RUN apt-get install everything"):
        refuse_others(RECIPES[0], stage.instructions)
    with pytest.raises(ImageError, match=r"nothing in place of ubuntu:24\.04"):
        base_files("ubuntu:24.04", Path())


def test_an_image_depends_on_what_its_package_needs() -> None:
    assert needed_members("fastforward-entrypoint") == {
        *(
            "fastforward-entrypoint",
            "fastforward-graphql",
            "fastforward-grpc",
            "fastforward-rest",
            "fastforward-websocket",
        ),
        *("fastforward-kit", "fastforward-pipeline"),
        *("fastforward-shield", "fastforward-proto"),
    }


def test_archives_that_nobody_used_for_an_hour_go(tmp_path: Path) -> None:
    for name, age in (("operator-new.tar", 10), ("operator-old.tar", 4000), ("envoy-old.tar", 4000)):
        (tmp_path / name).touch()
        used = time.time() - age
        os.utime(tmp_path / name, (used, used))
    prune(tmp_path, RECIPES[0])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["envoy-old.tar", "operator-new.tar"]
