"""From a Dockerfile to an OCI archive: uv is run as the first stage says, the second stage says what becomes of it.

In: a `Recipe`, the repository. Out: an archive in a cache folder, named by all that went into it: as long as that is
the same, nothing is built. Called by the command line and by tests. An instruction that takes an engine is refused.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from support.cluster import images
from support.cluster.images import Image, ImageError, write_archive
from support.images import base
from support.images.context import context_files, copy_context
from support.images.dockerfile import Instruction, Stage, parse_dockerfile
from support.repository import ROOT

REGISTRY = "fastforward.local"
UV = ROOT / ".tools/bin/uv"
ENVIRONMENT = "/app"
KEEP_SECONDS = 3600.0
# What an engine does with these is done here in another way, or already.
DONE_OTHERWISE = ("pip install --no-cache-dir uv==", "python -m compileall ")
INSTRUCTIONS = frozenset({"COPY", "ENTRYPOINT", "ENV", "LABEL", "RUN", "USER", "WORKDIR"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One image: its name, and the folder of its Dockerfile."""

    name: str
    folder: str

    @property
    def dockerfile(self) -> Path:
        return ROOT / self.folder / "Dockerfile"

    @property
    def image(self) -> str:
        """Its name with registry and tag."""
        return f"{REGISTRY}/{self.name}:{version()}"

    def stages(self) -> tuple[Stage, Stage]:
        """The stage that builds, and the one that is left."""
        building, left = parse_dockerfile(self.dockerfile.read_text())
        return building, left


RECIPES = (
    Recipe(name="operator", folder="operator/controller"),
    Recipe(name="entrypoint", folder="dataplane/entrypoint"),
    Recipe(name="envoy", folder="dataplane/envoy"),
    Recipe(name="bookshop", folder="examples/bookshop/app"),
)


def version() -> str:
    """Of the product: all its packages have the same."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def cache() -> Path:
    """Where archives are kept between runs."""
    folder = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("FASTFORWARD_IMAGES") or Path(folder) / "fastforward/images").resolve()


def build(recipe: Recipe) -> Path:
    """The archive of the image as the sources are now. Raises ImageError."""
    folder = cache()
    with locked(folder):
        archive = folder / f"{recipe.name}-{key(recipe)}.tar"
        if not archive.exists():
            written = folder / f"{recipe.name}.new"
            write_archive(made(recipe, folder), written)
            written.rename(archive)
        archive.touch()
        prune(folder, recipe)
    return archive


def prune(folder: Path, recipe: Recipe) -> None:
    """Removes archives of earlier states; not those that another clone on this machine may be about to load."""
    for old in folder.glob(f"{recipe.name}-*.tar"):
        if time.time() - old.stat().st_mtime > KEEP_SECONDS:
            old.unlink()


@contextlib.contextmanager
def locked(folder: Path) -> Generator[None]:
    """One process at a time builds; the others find what it made."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def made(recipe: Recipe, folder: Path) -> Image:
    """The image, of files that lie ready below the folder."""
    building, left = recipe.stages()
    refuse_others(recipe, (*building.instructions, *left.instructions))
    environment = folder / recipe.name
    install(building, environment, folder / "context")
    relocate(environment)
    lowest = base.base_files(left.base, folder)
    files = copied(left, environment)
    needed = base.libraries(programs(files.values()), environment)
    foreign = {path: found for path, found in {**files, **needed}.items() if path not in lowest}
    own = {path: foreign.pop(path) for path in files if is_own(files[path])}
    return Image(
        name=recipe.image,
        files=own,
        below=(lowest, foreign),
        entrypoint=left.last("ENTRYPOINT").arguments,
        user=left.last("USER").text,
        environment=base.ENVIRONMENT | left.pairs("ENV"),
        labels=left.pairs("LABEL"),
    )


def refuse_others(recipe: Recipe, found: Iterable[Instruction]) -> None:
    """Raises ImageError for an instruction that would be passed over."""
    for each in found:
        known = each.word in INSTRUCTIONS and (
            each.word != "RUN" or each.text.startswith((*DONE_OTHERWISE, "uv sync "))
        )
        if not known:
            raise ImageError(f"{recipe.folder}/Dockerfile: without an engine nobody does {each.word} {each.text}.")


def uv_command(building: Stage) -> list[str]:
    """The command that installs what the image is of."""
    return next(each.words for each in building.all("RUN") if each.text.startswith("uv sync "))


def install(building: Stage, environment: Path, context: Path) -> None:
    """Runs that command over the files that an engine would be given. Raises ImageError with what uv says."""
    copy_context(context)
    variables = building.pairs("ENV") | {"UV_PROJECT_ENVIRONMENT": str(environment), "UV_PYTHON": sys.executable}
    variables.pop("UV_CACHE_DIR", None)
    shutil.rmtree(environment, ignore_errors=True)
    done = subprocess.run(
        [UV, *uv_command(building)[1:]],
        cwd=context,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ImageError(done.stderr.strip())


def relocate(environment: Path) -> None:
    """Makes the environment one that lies in /app and has its interpreter in /usr/local; without what shells read."""
    scripts = environment / "bin"
    for path in scripts.iterdir():
        if path.is_symlink():
            continue
        text = path.read_text()
        if text.startswith("#!"):
            path.write_text(text.replace(str(environment), ENVIRONMENT))
        else:
            path.unlink()
    (scripts / "python").unlink()
    (scripts / "python").symlink_to(f"/usr/local/bin/{base.PYTHON}")
    config = environment / "pyvenv.cfg"
    config.write_text(re.sub(r"^home = .*$", "home = /usr/local/bin", config.read_text(), flags=re.MULTILINE))


def copied(left: Stage, environment: Path) -> dict[str, Path]:
    """What the last stage takes out of the first one, by its path in the image; of the environment its parts."""
    files: dict[str, Path] = {}
    for each in left.all("COPY"):
        source, target = each.words
        if source == target == ENVIRONMENT:
            files |= {f"{ENVIRONMENT}/{path.relative_to(environment)}": path for path in parts(environment)}
        else:
            (found,) = environment.glob(source.removeprefix(f"{ENVIRONMENT}/"))
            files[target] = found
    return files


def parts(environment: Path) -> Iterator[Path]:
    """Yields what lies in the environment, package by package."""
    packages = environment / "lib" / base.PYTHON / "site-packages"
    yield from (environment / "bin", environment / "pyvenv.cfg", *sorted(packages.iterdir()))


def is_own(path: Path) -> bool:
    """Whether it is of a package of this repository."""
    return path.name.partition("-")[0] in own_names()


@functools.cache
def own_names() -> frozenset[str]:
    """What wheels of this repository install: their modules, and the folders that tell of them."""
    modules = (path.name for manifest in members().values() for path in manifest.parent.glob("src/*"))
    return frozenset((*modules, *(name.replace("-", "_") for name in members())))


@functools.cache
def members() -> dict[str, Path]:
    """The manifests of the packages of this repository, by distribution."""
    folders = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["workspace"]["members"]
    manifests = [ROOT / folder / "pyproject.toml" for folder in folders]
    return {tomllib.loads(path.read_text())["project"]["name"]: path for path in manifests}


def needed_members(name: str) -> set[str]:
    """The package and those of this repository that it depends on."""
    found: set[str] = set()
    wanted = [name]
    while wanted:
        found.add(wanted[-1])
        depends = tomllib.loads(members()[wanted.pop()].read_text())["project"]["dependencies"]
        names = {re.split(r"[^\w-]", each, maxsplit=1)[0] for each in depends}
        wanted += (names & members().keys()) - found
    return found


def programs(files: Iterable[Path]) -> Iterator[Path]:
    """Yields programs and libraries in these files and below these folders."""
    for path in files:
        for each in path.rglob("*") if path.is_dir() else (path,):
            if each.suffix in {"", ".so"} and each.is_file() and not each.is_symlink():
                with each.open("rb") as file:
                    if file.read(4) == b"\x7fELF":
                        yield each


def key(recipe: Recipe) -> str:
    """Another for each state of what the image is made of and of what makes it."""
    digest = hashlib.sha256(base.interpreter_key().encode())
    makers = (*sorted(Path(__file__).parent.glob("*.py")), Path(images.__file__), base.AUTHORITIES)
    for path in (*ingredients(recipe), *makers):
        if path.is_file():
            digest.update(f"{path}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def ingredients(recipe: Recipe) -> Iterator[Path]:
    """Yields the files that decide what is in it: of the packages only those that it needs."""
    command = uv_command(recipe.stages()[0])
    names = needed_members(command[command.index("--package") + 1]) if "--package" in command else set()
    folders = [members()[name].parent for name in names]
    yield from (recipe.dockerfile, ROOT / ".dockerignore")
    for path in context_files():
        there = ROOT / path
        if path.parent == Path() or there in members().values() or any(there.is_relative_to(each) for each in folders):
            yield there
