"""`ff key create` prints a key once and stores what proves it; `ff token` speaks for the development issuer."""

import base64
import hashlib
import hmac
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fastforward_crds as crds
import pytest
import yaml

from support.ff import ff, ff_process


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


@pytest.mark.parametrize("name", ["1e3", "12345e67"])
def test_names_that_look_like_numbers_are_read_as_written(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.yaml"
    assert ff("key", "create", path, "-n", name).code == 0
    assert ff("validate", tmp_path).out == "1 object, no problems.\n"
    assert stored(path).metadata.namespace == name


def test_of_keys_made_at_once_none_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    with ThreadPoolExecutor(4) as threads:
        said = list(threads.map(lambda _: ff_process("key", "create", path), range(4)))
    printed = {each.out.strip().split("_", 2)[1] for each in said}
    assert set(stored(path).data) == {"pepper", *printed}
    assert len(printed) == 4
    assert [each.name for each in tmp_path.iterdir()] == ["keys.yaml"]


def test_where_a_link_leads_is_changed_and_whoever_could_read_it_still_can(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    path, link = tmp_path / "there/keys.yaml", tmp_path / "linked.yaml"
    link.symlink_to("there/keys.yaml")
    assert ff("key", "create", link).code == 0
    assert stored(path).metadata.name == "linked"
    path.chmod(0o640)
    assert ff("key", "create", link).code == 0
    assert (link.is_symlink(), len(stored(path).data)) == (True, 3)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    said = ff("key", "create", tmp_path / "none/keys.yaml")
    assert (said.code, said.out) == (1, "")
    assert said.err == f"{tmp_path / 'none/keys.yaml'} can't be read and written: No such file or directory.\n"


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
    assert "run `ff up DIR` or `ff credentials DIR` once" in said.err


DATA = ("{pepper: 5}", "[pepper]", "{pepper: '###'}", "{}", "null", "[" * 5000)


@pytest.mark.parametrize("data", DATA, ids=lambda data: data[:20])
def test_a_secret_that_is_broken_is_left_alone(tmp_path: Path, data: str) -> None:
    path = tmp_path / "keys.yaml"
    text = (
        f"apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\ntype: gateway.fastforward.dev/api-keys\ndata: {data}\n"
    )
    path.write_text(text)
    said = ff("key", "create", path, "--tenant", "acme")
    assert (said.code, said.out) == (1, "")
    assert "name another file" in said.err
    assert path.read_text() == text


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "keys.yaml")
    assert ff("key", "create", tmp_path / "keys.yaml").code == 1


@pytest.mark.parametrize(("name", "options"), [("My Keys.yaml", ()), ("keys.yaml", ("-n", "X Y"))])
def test_no_secret_is_made_that_would_be_refused(tmp_path: Path, name: str, options: tuple[str, ...]) -> None:
    said = ff("key", "create", tmp_path / name, *options)
    assert (said.code, said.out) == (1, "")
    assert f"No Secret can be made in {tmp_path / name}: metadata.name" in said.err
    assert not (tmp_path / name).exists()


BROKEN = {"issuers.json": "{", "issuer.jwk": "{}"}


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_broken_development_credentials_are_one_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "issuers.json").write_text('[{"issuer": "https://a", "audiences": []}]')
    (tmp_path / "dev" / name).write_text(BROKEN[name])
    said = ff("token", "acme", "--state", tmp_path)
    assert (said.code, said.out) == (1, "")
    assert f"The development credentials in {tmp_path / 'dev'} can't be used" in said.err
    assert "remove that folder" in said.err


def test_a_token_is_valid_for_a_year_at_most(tmp_path: Path) -> None:
    assert ff("token", "--state", tmp_path, "--minutes", "99999999999").code == 2
