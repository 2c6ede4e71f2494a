"""`python -m fastforward_crds.generate`: writes the CRDs and the reference pages below the current folder.

Called by `make generate`. Files that are already right are not touched; those of kinds that are gone are removed.
"""

from __future__ import annotations

from pathlib import Path

from fastforward_crds.registry import KINDS

from .crd import write_definition

CRDS = Path("crds/generated")


def main() -> None:
    """Writes everything that is generated from the models."""
    replace_files(CRDS, "*.yaml", {f"{kind.plural}.yaml": write_definition(kind) for kind in KINDS})


def replace_files(folder: Path, pattern: str, wanted: dict[str, str]) -> None:
    """Makes the folder's files that fit the pattern equal to `wanted`, touching only those that differ."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(folder.glob(pattern)):
        if path.name not in wanted:
            path.unlink()
            print(f"removed {path}")
    for name, content in wanted.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != content:
            path.write_text(content, encoding="utf-8")
            print(f"wrote {path}")


if __name__ == "__main__":
    main()
