"""Container images without a registry and without an engine: an OCI archive of local files, handed to containerd.

In: a folder that becomes the root of a file system, or some files of this machine. Out: an archive that any runtime can
import, the same bytes for the same content; and the image in the node's containerd.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import platform
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from support.cluster.definition import Cluster

# For a gigabyte on a busy machine.
LOAD_SECONDS = 300.0
OCI = "application/vnd.oci.image"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class ImageError(Exception):
    """An image can't be had; the text is a sentence for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """`name` with a tag. `files` are paths on this machine by their path in the image: of a folder all that is in it,
    of a link what it points to. `below` are layers under them, which images may share, the lowest one first.
    """

    name: str
    files: Mapping[str, Path]
    entrypoint: tuple[str, ...]
    user: str = "65532:65532"
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    below: tuple[Mapping[str, Path], ...] = ()


def write_archive(image: Image, archive: Path) -> None:
    """The OCI layout, layers not compressed: it travels from one folder of this machine to another."""
    with contextlib.ExitStack() as open_files:
        layers = [open_files.enter_context(tempfile.TemporaryFile(dir=archive.parent)) for _ in range(depth(image))]
        for files, layer in zip((*image.below, image.files), layers, strict=True):
            write_layer(files, layer)
        packed = [describe(f"{OCI}.layer.v1.tar", layer) for layer in layers]
        config = encode(configuration(image, [each["digest"] for each in packed]))
        described = describe(f"{OCI}.config.v1+json", io.BytesIO(config))
        manifest = encode(
            {
                "schemaVersion": 2,
                "mediaType": f"{OCI}.manifest.v1+json",
                "config": described,
                "layers": packed,
            }
        )
        entry = describe(f"{OCI}.manifest.v1+json", io.BytesIO(manifest))
        parts: tuple[tuple[str, IO[bytes]], ...] = (
            ("oci-layout", io.BytesIO(b'{"imageLayoutVersion":"1.0.0"}')),
            ("index.json", io.BytesIO(encode(index(image, entry)))),
            (blob(described), io.BytesIO(config)),
            *((blob(each), layer) for each, layer in zip(packed, layers, strict=True)),
            (blob(entry), io.BytesIO(manifest)),
        )
        with tarfile.open(archive, "w") as tar:
            for name, file in parts:
                tar.addfile(member(name, file.seek(0, io.SEEK_END)), rewound(file))


def depth(image: Image) -> int:
    """How many layers it has."""
    return len(image.below) + 1


def index(image: Image, manifest: dict[str, Any]) -> dict[str, Any]:
    """The image by its name."""
    names = {"io.containerd.image.name": image.name, "org.opencontainers.image.ref.name": image.name.rpartition(":")[2]}
    return {"schemaVersion": 2, "manifests": [{**manifest, "annotations": names}]}


def with_libraries(programs: Mapping[str, Path]) -> dict[str, Path]:
    """The programs, by their path in the image, and the shared libraries that they are linked with."""
    files = dict(programs)
    for path in programs.values():
        told = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
        files |= {library: Path(library).resolve() for library in re.findall(r"(/\S+) \(0x", told)}
    return files


def configuration(image: Image, layers: list[str]) -> dict[str, Any]:
    """How to run it."""
    environment = {"PATH": PATH, **image.environment}
    return {
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {
            "User": image.user,
            "Entrypoint": list(image.entrypoint),
            "Env": [f"{name}={value}" for name, value in environment.items()],
            "Labels": dict(image.labels),
        },
        "rootfs": {"type": "layers", "diff_ids": layers},
    }


def write_layer(files: Mapping[str, Path], layer: IO[bytes]) -> None:
    """All files, owned by root, without times."""
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for folder in ("tmp", *parents(files)):
            tar.addfile(member(folder, 0, kind=tarfile.DIRTYPE, mode=0o1777 if folder == "tmp" else 0o755))
        for path, source in sorted(files.items()):
            tar.add(source.resolve(), arcname=path.lstrip("/"), filter=anonymous)


def parents(files: Mapping[str, Path]) -> list[str]:
    """The folders above all files, outermost first."""
    above = {str(folder).lstrip("/") for path in files for folder in Path("/", path).parents}
    return sorted(above - {""})


def anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without what differs between two machines."""
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    return entry


def member(name: str, size: int, *, kind: bytes = tarfile.REGTYPE, mode: int = 0o644) -> tarfile.TarInfo:
    """An entry that is not on any disk."""
    made = tarfile.TarInfo(name)
    made.size, made.type, made.mode = size, kind, mode
    return made


def describe(media_type: str, file: IO[bytes]) -> dict[str, Any]:
    """How the content of a file is referred to."""
    digest = hashlib.sha256()
    rewound(file)
    while part := file.read(1 << 20):
        digest.update(part)
    return {"mediaType": media_type, "digest": f"sha256:{digest.hexdigest()}", "size": file.tell()}


def blob(described: dict[str, Any]) -> str:
    """Where in an archive something lies that is referred to so."""
    return f"blobs/sha256/{described['digest'].removeprefix('sha256:')}"


def rewound(file: IO[bytes]) -> IO[bytes]:
    """The same file, to be read from its beginning."""
    file.seek(0)
    return file


def encode(document: dict[str, Any]) -> bytes:
    """The same text for the same content."""
    return json.dumps(document, sort_keys=True).encode()


def load(cluster: Cluster, image: Image) -> None:
    """Gives the node the image, under its name; pods use it with `imagePullPolicy: Never`."""
    with tempfile.NamedTemporaryFile(dir=cluster.state, suffix=".tar") as archive:
        write_archive(image, Path(archive.name))
        load_archive(cluster, Path(archive.name))


def load_archive(cluster: Cluster, archive: Path) -> None:
    """Gives the node the images of an archive, OCI or Docker, unless it has them."""
    name, digest = told_image(archive)
    if name and digest in ctr(cluster, "images", "list", f"name=={name}"):
        return
    try:
        ctr(cluster, "images", "import", str(archive))
    except ImageError as error:
        raise ImageError(f"containerd does not take {archive.name}: {error}") from None


def told_image(archive: Path) -> tuple[str, str]:
    """Name and digest of the one image of an OCI archive; empty for any other."""
    with tarfile.open(archive) as tar:
        names = tar.getnames()
        told = tar.extractfile("index.json") if "index.json" in names else None
        entries = json.load(told)["manifests"] if told is not None else []
    if len(entries) != 1:
        return "", ""
    return entries[0].get("annotations", {}).get("io.containerd.image.name", ""), entries[0]["digest"]


def ctr(cluster: Cluster, *arguments: str) -> str:
    """What containerd's own client prints; raises ImageError with what it complains of."""
    command = [shutil.which("ctr") or "ctr", "--address", str(cluster.containerd_socket), "--namespace", "k8s.io"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, timeout=LOAD_SECONDS)
    if done.returncode != 0:
        raise ImageError(done.stderr.strip())
    return done.stdout
