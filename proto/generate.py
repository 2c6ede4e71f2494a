"""Generates the Python wire types from every .proto below src.

In: proto/src/**/*.proto. Out: beside each, `_pb2.py` and `_pb2.pyi`, and for services `_pb2_grpc.py` and
`_pb2_grpc.pyi`. Called by `make generate`. protoc writes into a temporary folder first, so that only changed files are
rewritten and files whose .proto is gone are removed: running programs never see a half-generated package.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

SRC = Path(__file__).parent / "src"
GENERATED = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py", "*_pb2_grpc.pyi")


def run_protoc(out: Path) -> None:
    """Runs protoc over all sources into `out`; raises CalledProcessError, after protoc has said why."""
    protos = sorted(str(path) for path in SRC.rglob("*.proto"))
    if not protos:
        return
    outputs = [
        f"--python_out={out}",
        f"--grpc_python_out={out}",
        f"--mypy_out=quiet:{out}",
        f"--mypy_grpc_out=quiet:{out}",
    ]
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{SRC}", *outputs]
    # protoc finds its plugins (protoc-gen-mypy) on PATH: those of this interpreter's environment come first.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    subprocess.run([*command, *protos], check=True, env={**os.environ, "PATH": path})


def contents(folder: Path) -> dict[Path, bytes]:
    """Returns the generated files below `folder`, by path relative to it."""
    return {path.relative_to(folder): path.read_bytes() for pattern in GENERATED for path in folder.rglob(pattern)}


def without_empty_services(files: dict[Path, bytes]) -> dict[Path, bytes]:
    """Drops the gRPC modules that protoc writes for sources that declare no service."""
    services = {
        path.relative_to(SRC).with_suffix("") for path in SRC.rglob("*.proto") if "\nservice " in path.read_text()
    }
    return {
        path: data
        for path, data in files.items()
        if "_pb2_grpc" not in path.name or path.with_name(path.name.split("_pb2_grpc")[0]) in services
    }


def publish(wanted: dict[Path, bytes]) -> None:
    """Makes the generated files below src equal to `wanted`, touching only those that differ."""
    present = contents(SRC)
    for path in sorted(present.keys() - wanted.keys()):
        (SRC / path).unlink()
        print(f"removed {path}")
    for path, data in sorted(wanted.items()):
        if present.get(path) != data:
            (SRC / path).write_bytes(data)
            print(f"wrote {path}")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        run_protoc(out)
        publish(without_empty_services(contents(out)))


if __name__ == "__main__":
    main()
