"""Generates the Python wire types from every .proto below the given source roots.

In: the source roots (proto/src and the examples' own), holding .proto files. Out: beside each of them `_pb2.py` and
`_pb2.pyi`, and where it declares a service `_pb2_grpc.py` and `_pb2_grpc.pyi`. Called by `make generate`. protoc writes
into a temporary folder first, so that only files that differ are rewritten and those whose .proto is gone are removed:
a program that runs meanwhile never sees half a package.
"""

import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

GENERATED = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py", "*_pb2_grpc.pyi")
SERVICE = re.compile(r"^service\s", re.MULTILINE)


def run_protoc(src: Path, out: Path) -> None:
    """Runs protoc over all sources below `src` into `out`; raises CalledProcessError after protoc has said why."""
    protos = sorted(src.rglob("*.proto"))
    if not protos:
        return
    outputs = [f"--{name}_out={out}" for name in ("python", "grpc_python")]
    # Annotations of HTTP (google/api) come with googleapis-common-protos.
    includes = [f"-I{src}", f"-I{sysconfig.get_path('purelib')}"]
    typed_outputs = [f"--{name}_out=quiet:{out}" for name in ("mypy", "mypy_grpc")]
    # protoc finds its plugins on PATH: those of this interpreter's environment come first.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", *includes, *outputs, *typed_outputs, *protos],
        check=True,
        env={**os.environ, "PATH": path},
    )
    remove_empty_services(src, out)


def remove_empty_services(src: Path, out: Path) -> None:
    """Removes the gRPC modules that protoc writes even for sources that declare no service."""
    for proto in src.rglob("*.proto"):
        if not SERVICE.search(proto.read_text()):
            for suffix in ("_pb2_grpc.py", "_pb2_grpc.pyi"):
                name = proto.relative_to(src).with_name(proto.stem + suffix)
                (out / name).unlink(missing_ok=True)


def read_generated(folder: Path) -> dict[Path, bytes]:
    """Returns the generated files below `folder`, by path relative to it."""
    return {path.relative_to(folder): path.read_bytes() for pattern in GENERATED for path in folder.rglob(pattern)}


def replace_generated(src: Path, wanted: dict[Path, bytes]) -> None:
    """Makes the generated files below `src` equal to `wanted`, touching only those that differ."""
    present = read_generated(src)
    for path in sorted(present.keys() - wanted.keys()):
        (src / path).unlink()
        print(f"removed {src / path}")
    for path, data in sorted(wanted.items()):
        if present.get(path) != data:
            (src / path).write_bytes(data)
            print(f"wrote {src / path}")


def main() -> None:
    """Generates for each source root named on the command line."""
    for src in map(Path, sys.argv[1:]):
        with tempfile.TemporaryDirectory() as folder:
            run_protoc(src, Path(folder))
            replace_generated(src, read_generated(Path(folder)))


if __name__ == "__main__":
    main()
