"""Which users of a Secret go further: those with a hash that is neither quickly guessed nor an attack to verify."""

from __future__ import annotations

import argon2
import pytest
from fastforward_compiler.translate.users import fault_of_hash

from support import resources
from support.credentials import password_hash, users_data
from support.resources import on, passwords_of, policy, proven_by, resource

from .conftest import Bench

USERS = "gateway.fastforward.dev/users"
SALT, DIGEST = "c2FsdHNhbHRzYWx0", "A" * 43


def problems(bench: Bench, text: str, type_: str = USERS) -> list[str]:
    bench.apply(
        resource("Tenant", "acme", {}),
        policy("staff", on("Route", "x"), authentication=proven_by(passwords_of())),
        resources.secret("users", {"users": text}, type_),
    )
    found = bench.report("AuthPolicy", "staff").problems
    return [problem.message for problem in found if "basic.secrets" in problem.field]


@pytest.mark.parametrize("hashed", [password_hash("x"), argon2.PasswordHasher().hash("x")], ids=["bcrypt", "argon2id"])
def test_hashes_that_are_slow_to_guess_are_taken(hashed: str) -> None:
    assert fault_of_hash(hashed) == ""
    assert fault_of_hash(hashed.replace("$2b$", "$2y$")) == ""


@pytest.mark.parametrize(
    ("hashed", "fault"),
    [
        ("", "has no hash by bcrypt or argon2id"),
        ("secret", "has no hash by bcrypt or argon2id"),
        ("{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "has no hash by bcrypt or argon2id"),
        ("$apr1$abcdefgh$0123456789012345678901", "has no hash by bcrypt or argon2id"),
        (f"$argon2i$v=19$m=65536,t=3,p=4${SALT}${DIGEST}", "has no hash by bcrypt or argon2id"),
        ("$2b$05$" + "a" * 53, "has a hash by bcrypt of cost 5, not from 10 to 12"),
        ("$2b$31$" + "a" * 53, "has a hash by bcrypt of cost 31, not from 10 to 12"),
        (f"$argon2id$v=19$m=8,t=1,p=1${SALT}${DIGEST}", "has a hash by argon2id that takes too little work"),
        (f"$argon2id$v=19$m=99999999,t=3,p=4${SALT}${DIGEST}", "has a hash by argon2id that takes too little work"),
        (f"$argon2id$v=19$m=65536,t=999,p=4${SALT}${DIGEST}", "has a hash by argon2id that takes too little work"),
    ],
)
def test_other_hashes_are_refused(hashed: str, fault: str) -> None:
    assert fault_of_hash(hashed).startswith(fault)


def test_lines_say_who_a_user_is(bench: Bench) -> None:
    good = password_hash("x")
    text = f"# staff\n\nann:{good}\r\nbob:{good}:" + '{"tenant": "acme", "roles": ["a"], "permissions": ["p"]}'
    assert problems(bench, text) == []
    (users,) = bench.compiler.snapshot().users
    ann, bob = users.users
    assert (users.name, ann.name, ann.hash, ann.tenant) == ("default/users", "ann", good.encode(), "")
    assert (bob.name, bob.tenant, bob.roles, bob.permissions) == ("bob", "acme", ("a",), ("p",))


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("ann", "has no hash by bcrypt or argon2id"),
        (":HASH", "has no name of a user"),
        ("a\x00b:HASH", "has no name of a user"),
        ("x" * 300 + ":HASH", "has no name of a user"),
        ("ann:HASH:{", "says of its user what is no JSON object with tenant, roles and permissions"),
        ("ann:HASH:[]", "says of its user what is no JSON object with tenant, roles and permissions"),
        ('ann:HASH:{"role": "a"}', "says of its user what is no JSON object with tenant, roles and permissions"),
        ('ann:HASH:{"tenant": 5}', "says of its user what is no text"),
        ('ann:HASH:{"roles": "a"}', "says of its user what is no text"),
        ('ann:HASH:{"roles": [5]}', "says of its user what is no text"),
        ("bob:HASH", "names a user of a line above"),
    ],
)
def test_a_bad_line_is_told_by_its_number_and_hinders_no_other(bench: Bench, line: str, fault: str) -> None:
    hashed = password_hash("x")
    assert problems(bench, f"bob:{hashed}\n{line.replace('HASH', hashed)}") == [
        f"Line 2 of Secret default/users {fault}."
    ]
    assert [user.name for users in bench.compiler.snapshot().users for user in users.users] == ["bob"]


def test_a_secret_of_another_kind_is_refused(bench: Bench) -> None:
    assert problems(bench, users_data(ann="acme")["users"], "Opaque") == [
        f"Secret default/users has type Opaque, not {USERS}."
    ]
    assert bench.compiler.snapshot().users == ()
