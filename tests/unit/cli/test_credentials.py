"""`ff credentials` prints for a cluster what `ff up` makes; `ff token` and `ff key show` then speak for it."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import fastforward_crds as crds
import pytest
import yaml
from fastforward_operator.supervisor.state import StateFolder
from joserfc import jwt
from joserfc.jwk import KeySet

from support.ff import ff
from support.repository import ROOT
from support.resources import edge

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


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "lock"}


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Directories that ask for something else, of another namespace and with the same tenant."""
    documents = [edge(443, listeners=[{"name": "https", "port": 443, "protocol": "HTTPS", "tls": TLS}])]
    for name in ("tenants", "policies"):
        text = (BOOKSHOP / f"resources/{name}.yaml").read_text().replace("namespace: bookshop", "namespace: other")
        documents += [each for each in yaml.safe_load_all(text) if each["kind"] in ("Tenant", "AuthPolicy")]
    (tmp_path / "other").mkdir()
    (tmp_path / "other/all.yaml").write_text(yaml.safe_dump_all(documents))
    return tmp_path / "other"


TLS = {"certificates": [{"name": "development-tls"}]}


def test_what_a_running_operator_reads_stays(tmp_path: Path, other: Path) -> None:
    state = tmp_path / "state"
    printed(state)
    before, running = contents(state), StateFolder(state)
    running.claim()
    try:
        said = ff("credentials", other, "--state", state)
    finally:
        running.release()
    assert (said.code, said.out) == (1, "")
    assert f"uses {state}: end it, or name another folder with --state." in said.err
    assert contents(state) == before


def test_a_folder_is_free_again_and_keeps_its_logs(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/envoy.log").write_text("why it ended")
    printed(tmp_path)
    assert (tmp_path / "logs/envoy.log").read_text() == "why it ended"
    again = StateFolder(tmp_path)
    again.claim()
    again.release()


def test_api_keys_outlast_a_run_with_other_directories(tmp_path: Path, other: Path) -> None:
    state = tmp_path / "state"
    first, key = printed(state), ff("key", "show", "acme", "--state", state).out
    said = ff("credentials", other, "--state", state)
    assert {each["metadata"]["namespace"] for each in yaml.safe_load_all(said.out)} == {"default", "other"}
    assert ff("key", "show", "acme", "--state", state).out != key
    assert printed(state)["development-api-keys"] == first["development-api-keys"]
    assert ff("key", "show", "acme", "--state", state).out == key
