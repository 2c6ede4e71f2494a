"""The bookshop's Schema of gRPC is its orders.proto, with all that it imports."""

from __future__ import annotations

import base64
import subprocess
import sys
import sysconfig
from pathlib import Path

import yaml

from support.repository import ROOT

SHOP = ROOT / "examples" / "bookshop"


def test_the_schema_is_the_proto(tmp_path: Path) -> None:
    made = tmp_path / "orders.binpb"
    sources = [f"-I{SHOP / 'app' / 'src'}", f"-I{sysconfig.get_path('purelib')}"]
    command = [sys.executable, "-m", "grpc_tools.protoc", *sources, "--include_imports", f"-o{made}"]
    subprocess.run([*command, "bookshop/v1/orders.proto"], check=True)
    documents = yaml.safe_load_all((SHOP / "resources" / "calls.yaml").read_text())
    [schema] = [each for each in documents if each["kind"] == "Schema"]
    [version] = schema["spec"]["versions"]
    assert base64.b64decode(version["document"]) == made.read_bytes()
