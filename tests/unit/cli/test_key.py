"""`ff key create` prints a key once and stores what proves it; `ff token` speaks for the development issuer."""

import base64
import hashlib
import hmac
import json
import stat
from pathlib import Path

import fastforward_crds as crds
import yaml

from support.ff import ff


def stored(path: Path) -> crds.Secret:
    secret = crds.parse_resource(yaml.safe_load(path.read_text()))
    assert isinstance(secret, crds.Secret)
    return secret


def test_the_printed_key_is_proved_by_the_stored_hash(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    said = ff("key", "create", path, "--tenant", "acme", "--role", "member", "--role", "buyer", "-n", "shop")
    assert said.code == 0
    _, key_id, plain = said.out.strip().split("_", 2)
    secret = stored(path)
    entry = json.loads(secret.value(key_id) or b"")
    assert entry["hash"] == hmac.new(secret.value("pepper") or b"", plain.encode(), hashlib.sha256).hexdigest()
    assert (entry["tenant"], entry["roles"]) == ("acme", ["member", "buyer"])
    assert (secret.metadata.name, secret.metadata.namespace, secret.type) == (
        "keys",
        "shop",
        "gateway.fastforward.dev/api-keys",
    )
    assert plain not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_second_key_joins_the_first(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    first = ff("key", "create", path, "-o", "json").json["id"]
    second = ff("key", "create", path, "--days", "30", "-o", "json").json["id"]
    data = stored(path).data
    assert set(data) == {"pepper", first, second}
    assert "notAfter" in json.loads(base64.b64decode(data[second]))
    assert "notAfter" not in json.loads(base64.b64decode(data[first]))


def test_a_file_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    path.write_text("kind: Route\n")
    said = ff("key", "create", path)
    assert said.code == 1
    assert "holds something other than one Secret" in said.err
    assert path.read_text() == "kind: Route\n"


def test_without_a_development_issuer_a_token_is_refused_with_the_remedy(tmp_path: Path) -> None:
    said = ff("token", "acme", "--state", tmp_path)
    assert said.code == 1
    assert "run `ff up DIR` once" in said.err
