"""The users of one Secret, with the hashes of their passwords, and what a client sends to prove to be one (RFC 7617).

A hash takes long to compare with on purpose, so it is not done here: a stage asks for it. Made by `snapshot`; asked by
authentication.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

from fastforward.snapshot.v1 import snapshot_pb2

from .authpolicy import BasicProvider, Identity
from .password import fake_hash

_SCHEME = "basic "
_LONGEST = 4096


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class User:
    """Somebody with a password."""

    name: str
    hash: str
    tenant: str
    roles: frozenset[str]
    permissions: frozenset[str]

    def identity(self, provider: BasicProvider) -> Identity:
        """Returns whom the password proves."""
        return Identity(
            subject=self.name,
            tenant=self.tenant,
            roles=self.roles,
            permissions=self.permissions,
            provider=provider,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Users:
    """The users of one Secret."""

    users: Mapping[str, User]
    nobody: str
    """A hash that no password has, of the cost of the others: whoever is unknown is looked at as long as somebody."""


def find_basic(text: str) -> str | None:
    """Returns the credentials in an `authorization` header; None when it is of another scheme."""
    return text[len(_SCHEME) :].strip(" ") if text[: len(_SCHEME)].lower() == _SCHEME else None


def parse_basic(credentials: str) -> tuple[str, str] | None:
    """Returns name and password; None when that is not what it is. A password may hold colons, a name can't."""
    if len(credentials) > _LONGEST:
        return None
    try:
        text = base64.b64decode(credentials, validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    name, colon, password = text.partition(":")
    return (name, password) if colon and name and "\0" not in password else None


def compile_users(wire: snapshot_pb2.Users) -> Users:
    """Returns the compiled users."""
    users = {user.name: _compile_user(user) for user in wire.users}
    return Users(users=users, nobody=fake_hash(next(iter(users.values())).hash if users else ""))


def _compile_user(wire: snapshot_pb2.User) -> User:
    return User(
        name=wire.name,
        hash=wire.hash,
        tenant=wire.tenant,
        roles=frozenset(wire.roles),
        permissions=frozenset(wire.permissions),
    )
