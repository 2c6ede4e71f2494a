"""The lowest layer, in place of the image that a Dockerfile starts from: of files of this machine.

In: the name after FROM, a folder for what has to be made first. Out: files by their path in the image. Called by the
builder. Of an interpreter it takes what a program needs, at the place where the official image has it.
"""

from __future__ import annotations

import compileall
import hashlib
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from pathlib import Path

from support.cluster.images import ImageError

# Where the loader looks without being told.
LOADED_FROM = re.compile(r"/(usr/)?lib(64)?(/[\w.]+-linux-gnu)?")
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
ENVIRONMENT = {"LANG": "C.UTF-8", "SSL_CERT_FILE": str(AUTHORITIES)}
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
# Of the standard library: what draws windows, edits lines, tests, or builds extensions.
NOT_NEEDED = (
    *("site-packages", "dist-packages", "__pycache__", "test", "tests", "unittest", "idlelib", "tkinter", "turtledemo"),
    *("ensurepip", "distutils", "lib2to3", "pydoc_data", "config-*", "_curses*.so", "readline*.so", "nis*.so"),
    *("_codecs_??*.so", "_test*.so", "_ctypes_test*.so", "_tkinter*.so", "_xx*.so"),
)
ACCOUNTS = {
    "passwd": "root:x:0:0:root:/nonexistent:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/nonexistent:/sbin/nologin\n",
    "group": "root:x:0:\nnonroot:x:65532:\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}


def base_files(name: str, folder: Path) -> dict[str, Path]:
    """The files of a base. Raises ImageError for one that nobody here knows to make."""
    if name.startswith("gcr.io/distroless/"):
        return system_files(folder)
    if name.startswith("python:"):
        return system_files(folder) | interpreter_files(folder)
    raise ImageError(f"Without an engine there is nothing in place of {name}.")


def system_files(folder: Path) -> dict[str, Path]:
    """Accounts, how names are looked up, and whom to trust."""
    for name, text in ACCOUNTS.items():
        path = folder / "etc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    files = {f"/etc/{name}": folder / "etc" / name for name in ACCOUNTS}
    return files | ({str(AUTHORITIES): AUTHORITIES} if AUTHORITIES.exists() else {})


def interpreter_files(folder: Path) -> dict[str, Path]:
    """This interpreter, its compiled standard library and the libraries that both are linked with."""
    program = Path(sys.base_prefix, "bin", PYTHON).resolve()
    library = folder / f"{PYTHON}-{interpreter_key()}"
    if not library.exists():
        made = folder / "stdlib"
        shutil.rmtree(made, ignore_errors=True)
        shutil.copytree(sysconfig.get_path("stdlib"), made, ignore=shutil.ignore_patterns(*NOT_NEEDED))
        compileall.compile_dir(
            made,
            quiet=2,
            workers=2,
            stripdir=str(made),
            prependdir=f"/usr/local/lib/{PYTHON}",
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
        made.rename(library)
    needed = libraries([program, *library.glob("lib-dynload/*.so")])
    return {f"/usr/local/bin/{PYTHON}": program, f"/usr/local/lib/{PYTHON}": library, **needed}


def interpreter_key() -> str:
    """Another for another interpreter, or another choice of what is needed."""
    told = repr((sys.version, sys.base_prefix, NOT_NEEDED))
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def libraries(programs: Iterable[Path], inside: Path | None = None) -> Mapping[str, Path]:
    """The shared libraries that these are linked with, where the loader finds them; not those in the folder `inside`.

    Raises ImageError for one that this machine lacks.
    """
    told = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False).stdout
    if missing := re.search(r"(\S+) => not found", told):
        raise ImageError(f"{missing[1]} is not on this machine.")
    found = {Path(path) for path in re.findall(r"(/\S+) \(0x", told)}
    return {place(path): path.resolve() for path in found if inside is None or not path.is_relative_to(inside)}


def place(path: Path) -> str:
    """Where it is in the image: at its own place if the loader looks there."""
    return str(path) if LOADED_FROM.fullmatch(str(path.parent)) else f"/usr/lib/{path.name}"
