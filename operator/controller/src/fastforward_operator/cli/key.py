"""`ff key create`: an API key, printed once; only its keyed hash is stored. `ff key show`: one made for development.

In: the file of a Secret and who the key stands for, or the state folder of `ff up` and a tenant. Out: the key on
standard output, the hash in the file. Called by cli/main.
"""

from __future__ import annotations

import base64
import secrets
import sys
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

from fastforward_operator.supervisor.apikey import SECRET_TYPE, ApiKeyText, new_api_key
from fastforward_operator.supervisor.development import Development, DevelopmentError

from .output import Output, print_data
from .secretfile import SecretKind, change_secret

_DAY_S = 86_400


class Identity(NamedTuple):
    """Who the key stands for, and how long."""

    tenant: str
    subject: str
    roles: tuple[str, ...]
    permissions: tuple[str, ...]
    days: int


def run_create(path: Path, identity: Identity, namespace: str, output: Output) -> int:
    """Add a key to the Secret in `path`; 1 when that is not possible."""
    key = new_api_key()
    try:
        fresh = {"pepper": base64.b64encode(secrets.token_bytes(32)).decode()}
        kind = SecretKind(type=SECRET_TYPE, namespace=namespace, fresh=fresh, needed="pepper")
        if not change_secret(path, kind, partial(_add, key, identity)):
            return 1
    except OSError as error:
        print(f"{path} can't be read and written: {error.strerror}.", file=sys.stderr)
        return 1
    if output is Output.TEXT:
        print(key.text)
        print(f"Stored its hash under {key.id} in {path}. The key itself is shown only now.", file=sys.stderr)
    else:
        print_data({"key": key.text, "id": key.id, "secret": str(path)}, output)
    return 0


def run_show(state: Path, tenant: str) -> int:
    """Print the development key of a tenant; 1 with a remedy when there is none."""
    try:
        keys = Development(state / "dev").api_keys()
    except DevelopmentError as error:
        print(error, file=sys.stderr)
        return 1
    if tenant not in keys:
        known = f", but of {', '.join(sorted(keys))}" if keys else ""
        print(
            f"There is no development key of {tenant} in {state}{known}: run `ff up DIR` or `ff credentials DIR` once,"
            " or name its folder with --state.",
            file=sys.stderr,
        )
        return 1
    print(keys[tenant])
    return 0


def _add(key: ApiKeyText, identity: Identity, data: dict[str, str]) -> None:
    pepper = base64.b64decode(data["pepper"])
    data[key.id] = base64.b64encode(key.entry(pepper, _entry(identity)).encode()).decode()


def _entry(identity: Identity) -> dict[str, object]:
    entry: dict[str, object] = {
        "tenant": identity.tenant,
        "subject": identity.subject,
        "roles": list(identity.roles),
        "permissions": list(identity.permissions),
    }
    if identity.days:
        entry["notAfter"] = int(time.time()) + identity.days * _DAY_S
    return {name: value for name, value in entry.items() if value}
