"""Every recipe of docs/recipes.md is valid, and does what its tests say."""

from pathlib import Path

import pytest

from support.ff import ff
from support.repository import ROOT

PRELUDE, *SECTIONS = (ROOT / "docs/recipes.md").read_text().split("\n## ")
FENCE = "```yaml\n"


def blocks(text: str) -> list[str]:
    return [part.partition("\n```")[0] for part in text.split(FENCE)[1:]]


@pytest.mark.parametrize("section", SECTIONS, ids=[section.partition("\n")[0] for section in SECTIONS])
def test_a_recipe_does_what_it_says(tmp_path: Path, section: str) -> None:
    (ground,) = blocks(PRELUDE)
    resources, tests = blocks(section)
    (tmp_path / "resources.yaml").write_text(f"{ground}\n---\n{resources}\n")
    (tmp_path / "routes.test.yaml").write_text(tests)
    checked = ff("validate", tmp_path)
    assert checked.code == 0, checked.out
    told = ff("test", tmp_path)
    assert told.code == 0, told.out
