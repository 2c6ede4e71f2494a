"""The repository as tests see it: its root, its packages, its tracked files.

Tests of the architecture ask here what there is, so that a new package is named in one place.
"""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One installable package: `folder` from the root, distribution and import name, and whether it is pure."""

    folder: str
    distribution: str
    module: str
    pure: bool = False

    @property
    def src(self) -> Path:
        """Where its import roots lie, from the root of the repository."""
        return Path(self.folder) / "src"


PACKAGES = (
    Package(folder="proto", distribution="fastforward-proto", module="fastforward"),
    Package(folder="crds", distribution="fastforward-crds", module="fastforward_crds", pure=True),
    Package(folder="operator/compiler", distribution="fastforward-compiler", module="fastforward_compiler", pure=True),
    Package(folder="operator/controller", distribution="fastforward-operator", module="fastforward_operator"),
    Package(folder="dataplane/pipeline", distribution="fastforward-pipeline", module="fastforward_pipeline", pure=True),
    Package(folder="dataplane/kit", distribution="fastforward-kit", module="fastforward_kit"),
    Package(folder="dataplane/shield", distribution="fastforward-shield", module="fastforward_shield"),
    Package(folder="dataplane/ingress/graphql", distribution="fastforward-graphql", module="fastforward_graphql"),
    Package(folder="dataplane/ingress/grpc", distribution="fastforward-grpc", module="fastforward_grpc"),
    Package(folder="dataplane/ingress/rest", distribution="fastforward-rest", module="fastforward_rest"),
    Package(folder="dataplane/ingress/websocket", distribution="fastforward-websocket", module="fastforward_websocket"),
    Package(folder="dataplane/entrypoint", distribution="fastforward-entrypoint", module="fastforward_entrypoint"),
)


def tracked_files() -> tuple[Path, ...]:
    """Returns the paths, from the root, of all files that git tracks and that are still there."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return tuple(Path(name) for name in listed.split("\0") if name and (ROOT / name).is_file())


def is_generated(path: Path) -> bool:
    """Whether `path` is a generated wire type, which nobody edits."""
    return path.suffix in {".py", ".pyi"} and path.stem.endswith(("_pb2", "_pb2_grpc"))


def python_sources(package: Package) -> Iterator[Path]:
    """Yields the package's own Python files, absolute, without generated ones."""
    return (path for path in sorted((ROOT / package.src).rglob("*.py")) if not is_generated(path))
