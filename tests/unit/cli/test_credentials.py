"""`ff credentials` prints for a cluster what `ff up` makes; `ff token` and `ff key show` then speak for it."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import fastforward_crds as crds
import pytest
import yaml
from joserfc import jwt
from joserfc.jwk import KeySet

from support.ff import ff
from support.repository import ROOT

BOOKSHOP = ROOT / "examples/bookshop"


def printed(state: Path) -> dict[str, Any]:
    said = ff("credentials", BOOKSHOP, "--state", state)
    assert said.code == 0
    return {each["metadata"]["name"]: each for each in yaml.safe_load_all(said.out)}


def parsed(found: dict[str, Any], name: str) -> crds.Resource:
    resource = crds.parse_resource(found[name])
    assert isinstance(resource, crds.Resource)
    return resource


def test_the_operator_may_read_what_is_printed(tmp_path: Path) -> None:
    found = printed(tmp_path)
    assert {(each["kind"], name) for name, each in found.items()} == {
        ("Secret", "development-tls"),
        ("Secret", "development-api-keys"),
        ("ConfigMap", "development-jwks"),
    }
    for each in found.values():
        assert each["metadata"]["labels"] == {"gateway.fastforward.dev/use": "true"}
        assert each["metadata"]["namespace"] == "bookshop"


def test_it_prints_the_same_again(tmp_path: Path) -> None:
    assert printed(tmp_path) == printed(tmp_path)


def test_no_private_key_is_printed_but_the_certificates(tmp_path: Path) -> None:
    said = ff("credentials", BOOKSHOP, "--state", tmp_path)
    assert json.loads((tmp_path / "dev/issuer.jwk").read_text())["d"] not in said.out
    assert ff("key", "show", "acme", "--state", tmp_path).out.strip().split("_", 2)[2] not in said.out
    assert said.out.count("PRIVATE KEY") == 2


def test_a_token_is_proved_by_the_printed_keys(tmp_path: Path) -> None:
    keys = parsed(printed(tmp_path), "development-jwks")
    assert isinstance(keys, crds.ConfigMap)
    token = ff("token", "acme", "--state", tmp_path).out.strip()
    claims = jwt.decode(token, KeySet.import_key_set(json.loads(keys.data["jwks.json"])), algorithms=["ES256"]).claims
    assert (claims["tenant"], claims["iss"]) == ("acme", "https://issuer.bookshop.localhost")


def test_the_key_of_a_tenant_is_proved_by_the_printed_hash(tmp_path: Path) -> None:
    stored = parsed(printed(tmp_path), "development-api-keys")
    assert isinstance(stored, crds.Secret)
    _, key_id, plain = ff("key", "show", "globex", "--state", tmp_path).out.strip().split("_", 2)
    entry = json.loads(stored.value(key_id) or b"")
    assert entry["tenant"] == "globex"
    assert entry["hash"] == hmac.new(stored.value("pepper") or b"", plain.encode(), hashlib.sha256).hexdigest()


def test_a_tenant_without_a_key_is_told_who_has_one(tmp_path: Path) -> None:
    printed(tmp_path)
    said = ff("key", "show", "nobody", "--state", tmp_path)
    assert said.code == 1
    assert "no development key of nobody" in said.err
    assert "but of acme, globex" in said.err


@pytest.mark.parametrize("command", [("key", "show", "acme"), ("token", "acme")])
def test_before_anything_was_made_the_remedy_is_named(tmp_path: Path, command: tuple[str, ...]) -> None:
    said = ff(*command, "--state", tmp_path)
    assert said.code == 1
    assert "`ff credentials DIR`" in said.err


def test_a_directory_that_asks_for_none_gets_none(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    said = ff("credentials", tmp_path / "empty", "--state", tmp_path / "state")
    assert (said.code, said.out) == (1, "")
    assert "whose name begins with development-" in said.err


def test_a_broken_folder_is_one_sentence(tmp_path: Path) -> None:
    printed(tmp_path)
    (tmp_path / "dev/api-keys.json").write_text("{")
    for command in (("key", "show", "acme"), ("credentials", str(BOOKSHOP))):
        said = ff(*command, "--state", tmp_path)
        assert said.code == 1
        assert "remove that folder" in said.err
