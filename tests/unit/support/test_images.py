"""An image is made of files alone: the same files make the same bytes, whoever made them and when."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

from support.cluster.images import Image, with_libraries, write_archive


def image(folder: Path) -> Image:
    return Image(name="example.local/one:1", files={"/app": folder}, entrypoint=("/app/run",), user="1000:1000")


def program(folder: Path, time: int) -> Path:
    folder.mkdir()
    (folder / "run").write_text("#!/bin/sh\n")
    (folder / "run").chmod(0o755)
    os.utime(folder / "run", (time, time))
    return folder


def read(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None
    return file.read()


def test_the_same_files_make_the_same_archive(tmp_path: Path) -> None:
    for number in (1, 2):
        write_archive(image(program(tmp_path / str(number), 1000 * number)), tmp_path / f"{number}.tar")
    assert (tmp_path / "1.tar").read_bytes() == (tmp_path / "2.tar").read_bytes()


def test_an_archive_is_in_the_oci_layout_and_belongs_to_root(tmp_path: Path) -> None:
    write_archive(image(program(tmp_path / "files", 1)), tmp_path / "image.tar")
    with tarfile.open(tmp_path / "image.tar") as archive:
        blobs = {name: read(archive, name) for name in archive.getnames()}
    (entry,) = json.loads(blobs["index.json"])["manifests"]
    assert entry["annotations"]["io.containerd.image.name"] == "example.local/one:1"
    manifest = json.loads(blobs[f"blobs/sha256/{entry['digest'].removeprefix('sha256:')}"])
    config = json.loads(blobs[f"blobs/sha256/{manifest['config']['digest'].removeprefix('sha256:')}"])
    assert config["config"]["User"] == "1000:1000"
    assert config["rootfs"]["diff_ids"] == [manifest["layers"][0]["digest"]]
    layer = blobs[f"blobs/sha256/{manifest['layers'][0]['digest'].removeprefix('sha256:')}"]
    with tarfile.open(fileobj=io.BytesIO(layer)) as files:
        assert {each.name: (each.uid, each.gid, each.mode & 0o7777) for each in files} == {
            "tmp": (0, 0, 0o1777),
            "app": (0, 0, 0o755),
            "app/run": (0, 0, 0o755),
        }


def test_a_program_brings_its_libraries() -> None:
    files = with_libraries({"/bin/sleep": Path("/bin/sleep")})
    assert any("/libc.so" in path for path in files)
    assert any("/ld-linux" in path or "/ld-musl" in path for path in files)
