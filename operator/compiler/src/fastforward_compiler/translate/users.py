"""Users with passwords: what Secrets hold for basic authentication.

In: Secrets. Out: `ir.Users`, or why they can't be used. Called by authpolicy through USERS. Hashes go further as they
are; a password is nowhere. A hash that is quickly guessed, or that takes so much work that guessing it would be an
attack on whoever verifies it, is left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells, Rule
from fastforward_compiler.problem import Reason

from .certificate import Unusable
from .keyset import all_text
from .world import SECRETS

USERS_TYPE = "gateway.fastforward.dev/users"
USERS_KEY = "users"

_MAX_USERS = 10_000
_MAX_FAULTS = 16
_BCRYPT = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}")
_ARGON2ID = re.compile(
    r"\$argon2id\$v=19\$m=([0-9]{1,9}),t=([0-9]{1,4}),p=([0-9]{1,3})\$[A-Za-z0-9+/]{11,64}\$[A-Za-z0-9+/]{22,86}"
)
_BCRYPT_COST = range(10, 13)
_ARGON2_MEMORY_KIB = range(7 * 1024, 256 * 1024 + 1)
_ARGON2_PASSES = range(1, 17)
_ARGON2_LANES = range(1, 17)
_FIELDS = frozenset({"tenant", "roles", "permissions"})


class UsersFound(NamedTuple):
    """The usable users of a Secret, and what is wrong with the others."""

    users: ir.Users
    faults: tuple[str, ...]


def _make_users(cells: Cells, name: str) -> UsersFound | Unusable:
    secret = cells.read(SECRETS, name)
    if secret is None:
        return Unusable(Reason.SECRET_NOT_FOUND, f"Secret {name} was not found.")
    if secret.type != USERS_TYPE:
        return Unusable(Reason.SECRET_INVALID, f"Secret {name} has type {secret.type}, not {USERS_TYPE}.")
    value = secret.value(USERS_KEY)
    if value is None:
        return Unusable(Reason.SECRET_INVALID, f"Secret {name} has no key {USERS_KEY}.")
    try:
        return _parse_users(name, value.decode())
    except UnicodeDecodeError:
        return Unusable(Reason.SECRET_INVALID, f"Key {USERS_KEY} of Secret {name} is no text in UTF-8.")


def _parse_users(name: str, text: str) -> UsersFound:
    found: dict[str, ir.User] = {}
    faults = []
    for place, line in _lines(text):
        user = _parse_user(line) if len(found) < _MAX_USERS else f"is beyond the first {_MAX_USERS} users"
        if isinstance(user, str):
            faults.append(f"Line {place} of Secret {name} {user}.")
        elif user.name in found:
            faults.append(f"Line {place} of Secret {name} names a user of a line above.")
        else:
            found[user.name] = user
    return UsersFound(ir.Users(name=name, users=tuple(found.values())), tuple(faults[:_MAX_FAULTS]))


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yields the lines with users, and their numbers."""
    for place, line in enumerate(text.split("\n"), start=1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            yield place, stripped


def _parse_user(line: str) -> ir.User | str:
    """Returns the user, or what is wrong with the line; that says nothing of what is in it."""
    name, hashed, rest = (*line.split(":", 2), "", "")[:3]
    if not name or len(name) > 256 or not name.isprintable():
        return "has no name of a user"
    if fault := fault_of_hash(hashed):
        return fault
    try:
        said = json.loads(rest or "{}")
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict) or not said.keys() <= _FIELDS:
        return "says of its user what is no JSON object with tenant, roles and permissions"
    lists = [said.get("roles", []), said.get("permissions", [])]
    tenant = said.get("tenant", "")
    if not all_text([tenant]) or not all(isinstance(each, list) and all_text(each) for each in lists):
        return "says of its user what is no text"
    return ir.User(name=name, hash=hashed.encode(), tenant=tenant, roles=tuple(lists[0]), permissions=tuple(lists[1]))


def fault_of_hash(text: str) -> str:
    """What is wrong with the hash of a password; empty when it is one to work with."""
    if bcrypt := _BCRYPT.fullmatch(text):
        cost = int(bcrypt[1])
        return "" if cost in _BCRYPT_COST else f"has a hash by bcrypt of cost {cost}, not from 10 to 12"
    if argon2 := _ARGON2ID.fullmatch(text):
        memory, passes, lanes = map(int, argon2.groups())
        bounded = memory in _ARGON2_MEMORY_KIB and passes in _ARGON2_PASSES and lanes in _ARGON2_LANES
        return "" if bounded else "has a hash by argon2id that takes too little work, or too much"
    return "has no hash by bcrypt or argon2id"


USERS: Rule[UsersFound | Unusable] = Rule("users", _make_users)
