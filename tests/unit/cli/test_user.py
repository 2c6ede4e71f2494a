"""`ff user add` stores a hash that proves a password, and nothing else."""

import stat
from pathlib import Path

import fastforward_crds as crds
import pytest
import yaml
from fastforward_compiler.translate.users import fault_of_hash
from fastforward_operator.cli import user
from fastforward_pipeline.compiled.password import verify_password

from support.ff import Said, ff


def lines(path: Path) -> list[str]:
    secret = crds.parse_resource(yaml.safe_load(path.read_text()))
    assert isinstance(secret, crds.Secret)
    assert secret.type == "gateway.fastforward.dev/users"
    return (secret.value("users") or b"").decode().splitlines()


def test_a_hash_of_the_password_is_stored_with_who_it_is(tmp_path: Path) -> None:
    path = tmp_path / "users.yaml"
    said = ff("user", "add", path, "jo", "--tenant", "acme", "--role", "a", "--role", "b", stdin="se:cret\n")
    assert (said.code, said.out) == (0, "")
    (line,) = lines(path)
    name, hashed, rest = line.split(":", 2)
    assert (name, rest) == ("jo", '{"tenant": "acme", "roles": ["a", "b"]}')
    assert fault_of_hash(hashed) == ""
    assert verify_password(hashed, "se:cret")
    assert "se:cret" not in path.read_text() + said.err
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_another_password_takes_the_place_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "users.yaml"
    for name, password in (("jo", "first"), ("al", "other"), ("jo", "second")):
        assert ff("user", "add", path, name, stdin=password).code == 0
    assert [line.split(":")[0] for line in lines(path)] == ["al", "jo"]
    assert verify_password(lines(path)[1].split(":")[1], "second")


def test_who_is_added_while_a_password_is_typed_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "users.yaml"
    read, said = user._read_password, list[Said]()

    def slowly() -> str:
        monkeypatch.setattr(user, "_read_password", read)
        said.append(ff("user", "add", path, "al", stdin="quick"))
        return "slow"

    monkeypatch.setattr(user, "_read_password", slowly)
    said.append(ff("user", "add", path, "jo"))
    assert [each.code for each in said] == [0, 0]
    assert [line.split(":")[0] for line in lines(path)] == ["al", "jo"]


@pytest.mark.parametrize("name", ["a:b", "", "#x", "a\nb"])
def test_a_name_that_no_line_can_hold_is_refused(tmp_path: Path, name: str) -> None:
    said = ff("user", "add", tmp_path / "users.yaml", name, stdin="x")
    assert (said.code, said.out) == (1, "")
    assert not (tmp_path / "users.yaml").exists()


def test_without_a_password_nothing_is_stored(tmp_path: Path) -> None:
    assert ff("user", "add", tmp_path / "users.yaml", "jo", stdin="").code == 1
    assert not (tmp_path / "users.yaml").exists()


def test_a_file_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    path.write_text("kind: Route\n")
    assert ff("user", "add", path, "jo", stdin="x").code == 1
    assert path.read_text() == "kind: Route\n"
