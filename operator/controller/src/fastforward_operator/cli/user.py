"""`ff user add`: a user with a password, of which only a hash by argon2id is stored.

In: the file of a Secret, who the user is, and a password on standard input. Out: a line more in the Secret. Called by
cli/main.
"""

from __future__ import annotations

import base64
import getpass
import json
import sys
from functools import partial
from pathlib import Path
from typing import NamedTuple

from fastforward_compiler.translate.users import USERS_KEY, USERS_TYPE
from fastforward_pipeline.compiled.password import hash_password

from .secretfile import SecretKind, change_secret, read_secret


class User(NamedTuple):
    """Who it is."""

    name: str
    tenant: str
    roles: tuple[str, ...]
    permissions: tuple[str, ...]


def run_add(path: Path, user: User, namespace: str) -> int:
    """Add a user to the Secret in `path`, or give one another password; 1 when that is not possible."""
    if not user.name or ":" in user.name or not user.name.isprintable() or user.name.startswith("#"):
        print("The name of a user is printable, has no colon (RFC 7617) and begins with no #.", file=sys.stderr)
        return 1
    kind = SecretKind(type=USERS_TYPE, namespace=namespace, fresh={}, needed=USERS_KEY)
    try:
        # Nobody is asked for a password in vain; others may change the file meanwhile.
        if read_secret(path, kind) is None:
            return 1
        password = _read_password()
        if not password:
            print("There is no password on standard input.", file=sys.stderr)
            return 1
        if not change_secret(path, kind, partial(_add, user.name, _line(user, password))):
            return 1
    except OSError as error:
        print(f"{path} can't be read and written: {error.strerror}.", file=sys.stderr)
        return 1
    print(f"Stored a hash of the password of {user.name} in {path}.", file=sys.stderr)
    return 0


def _add(name: str, line: str, data: dict[str, str]) -> None:
    """In place of the line that the user had."""
    text = base64.b64decode(data.get(USERS_KEY, "")).decode()
    others = [other for other in text.splitlines() if other.strip().partition(":")[0] != name]
    data[USERS_KEY] = base64.b64encode("".join(f"{each}\n" for each in [*others, line]).encode()).decode()


def _read_password() -> str:
    """Asked for twice of people; one line of others."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass.getpass()
    return password if getpass.getpass("Once more: ") == password else ""


def _line(user: User, password: str) -> str:
    said = {"tenant": user.tenant, "roles": user.roles, "permissions": user.permissions}
    told = {name: value for name, value in said.items() if value}
    return ":".join([user.name, hash_password(password), *([json.dumps(told)] if told else [])])
