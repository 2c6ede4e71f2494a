"""Generates the Python wire types from every .proto below the given source roots.

In: the source roots (proto/src and the examples' own), holding .proto files. Out: beside each of them `_pb2.py` and
`_pb2.pyi`, and where it declares a service `_pb2_grpc.py` and `_pb2_grpc.pyi`. Called by `make generate`. protoc writes
into a temporary folder first, so that only files that differ are rewritten and those whose .proto is gone are removed:
a program that runs meanwhile never sees half a package.

Rules (buf.validate) are options of fields. They stay in the descriptors, where the validator reads them, but the types
do not import the definition of these options: a program that checks nothing need not have it.
"""

import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable
from pathlib import Path

from google.protobuf import descriptor_pb2

THIRD_PARTY = Path(__file__).with_name("third_party")
RULES = "buf/validate/validate.proto"
GENERATED = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py", "*_pb2_grpc.pyi")
SERVICE = re.compile(r"^service\s", re.MULTILINE)


def run_protoc(src: Path, out: Path) -> None:
    """Runs protoc over all sources below `src` into `out`; raises CalledProcessError after protoc has said why."""
    protos = sorted(path.relative_to(src) for path in src.rglob("*.proto"))
    if not protos:
        return
    outputs = [f"--{name}_out={out}" for name in ("python", "grpc_python")]
    typed_outputs = [f"--{name}_out=quiet:{out}" for name in ("mypy", "mypy_grpc")]
    described = out / "described.binpb"
    # Annotations of HTTP (google/api) come with googleapis-common-protos.
    includes = [f"-I{path}" for path in (src, THIRD_PARTY, sysconfig.get_path("purelib"))]
    protoc(*includes, "--include_imports", "--include_source_info", f"--descriptor_set_out={described}", *protos)
    described.write_bytes(without_rules(described.read_bytes()))
    protoc(f"--descriptor_set_in={described}", *outputs, *typed_outputs, *protos)
    described.unlink()
    remove_empty_services(src, out)


def protoc(*arguments: str | Path) -> None:
    """Runs it. It finds its plugins on PATH: those of this interpreter's environment come first."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", *arguments], check=True, env={**os.environ, "PATH": path}
    )


def without_rules(described: bytes) -> bytes:
    """Returns the files as protoc reads them, but that none imports the definition of rules."""
    files = descriptor_pb2.FileDescriptorSet.FromString(described)
    kept = [file for file in files.file if file.name != RULES]
    for file in kept:
        file.dependency[:] = [name for name in file.dependency if name != RULES]
        forget_json_names(file.message_type)
    return descriptor_pb2.FileDescriptorSet(file=kept).SerializeToString()


def forget_json_names(messages: Iterable[descriptor_pb2.DescriptorProto]) -> None:
    """Leaves out what follows from the names of fields: protoc writes it into descriptions, but not into types."""
    for message in messages:
        for field in message.field:
            words = field.name.split("_")
            if field.json_name == words[0] + "".join(word.capitalize() for word in words[1:]):
                field.ClearField("json_name")
        forget_json_names(message.nested_type)


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
