"""`python -m fastforward_crds.generate`: writes what is made of the models below the current folder.

CRDs, the reference pages, a schema for editors, and Argo CD's settings, which have the same health check for each kind.

Called by `make generate`. Files that are already right are not touched; those of kinds that are gone are removed.
"""

from __future__ import annotations

from pathlib import Path

from fastforward_crds.registry import KINDS

from . import NOTICE
from .argocd import write_settings
from .crd import write_definition
from .editor import write_editor_schema
from .reference import write_formats, write_index, write_page

CRDS = Path("crds/generated")
CHART = Path("charts/fastforward-crds/definitions")
"""Helm takes only what lies in the chart."""
EXAMPLES = Path("crds/examples")
REFERENCE = Path("docs/reference")
ARGOCD = Path("argocd")


def main() -> None:
    """Writes everything that is generated from the models."""
    definitions = {f"{kind.plural}.yaml": write_definition(kind) for kind in KINDS}
    for folder in (CRDS, CHART):
        replace_files(folder, definitions)
    pages = {f"{kind.noun}.md": write_page(kind, (EXAMPLES / f"{kind.noun}.yaml").read_text()) for kind in KINDS}
    pages |= {
        "index.md": write_index(),
        "formats.md": write_formats(),
        "fastforward.schema.json": write_editor_schema(),
    }
    replace_files(REFERENCE, pages)
    replace_files(ARGOCD, {"argocd-cm.yaml": write_settings((ARGOCD / "health.lua").read_text())})


def replace_files(folder: Path, wanted: dict[str, str]) -> None:
    """Makes the generated files of the folder equal to `wanted`, touching only those that differ."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(folder.iterdir()):
        if path.name not in wanted and NOTICE in path.read_text(encoding="utf-8"):
            path.unlink()
            print(f"removed {path}")
    for name, content in wanted.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != content:
            path.write_text(content, encoding="utf-8")
            print(f"wrote {path}")


if __name__ == "__main__":
    main()
