"""EventHook to `ir.EventHook`, with the places of its Upstream and the keys of its Secret.

In: an EventHook, its Upstream, its Secret. Out: its IR value and Problems. Called by compile through EVENTHOOK. Where a
reference is broken the hook stays, without places or keys: events wait until it is mended, rather than being lost.
"""

from __future__ import annotations

import base64
import binascii
from typing import NamedTuple

import fastforward_crds as crds

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells, Rule
from fastforward_compiler.problem import ObjectRef, Problem, Reason, problem

from .certificate import Unusable
from .reference import is_permitted, target
from .upstream import UPSTREAM, resolve_upstream
from .world import EVENT_HOOKS, SECRETS, ref_of

WEBHOOK_KEYS_TYPE = "gateway.fastforward.dev/webhook-keys"
PREFIX = "whsec_"
"""Of keys as Standard Webhooks writes them (https://www.standardwebhooks.com, "Secrets")."""

_LEAST, _MOST = 24, 64
_MOST_KEYS = 4


class HookTranslation(NamedTuple):
    """An EventHook, and what is wrong with it."""

    hook: ir.EventHook
    problems: tuple[Problem, ...]


class _Places(NamedTuple):
    """Where webhooks go."""

    endpoints: tuple[ir.Endpoint, ...] = ()
    dns: ir.Dns | None = None

    @property
    def host(self) -> str:
        """The DNS name, if they have one."""
        return "" if self.dns is None else self.dns.host


def _translate_hook(cells: Cells, name: str) -> HookTranslation | None:
    hook = cells.read(EVENT_HOOKS, name)
    if hook is None:
        return None
    spec, on, problems = hook.spec, ref_of("EventHook", name), []
    places = _find_places(cells, on, spec.upstream, problems)
    server_name = ""
    if spec.tls is not None:
        server_name = spec.tls.server_name or places.host
        if not server_name and places.endpoints:
            told = "An Upstream of addresses has no name that the receiver's certificate could be compared with."
            problems.append(problem(on, Reason.INVALID, "spec.tls.serverName", told))
            places = _Places()
    value = ir.EventHook(
        name=name,
        events=tuple(sorted(spec.events)),
        endpoints=places.endpoints,
        dns=places.dns,
        path=spec.path,
        secrets=_find_keys(cells, on, spec.secret, problems),
        tls=spec.tls is not None,
        server_name=server_name,
        timeout_ms=crds.milliseconds(spec.timeout),
        tries=spec.retry.tries,
        first_wait_ms=crds.milliseconds(spec.retry.first_wait),
        longest_wait_ms=crds.milliseconds(spec.retry.longest_wait),
        dead_letters=spec.dead_letters.kept,
    )
    return HookTranslation(value, tuple(problems))


def _find_places(cells: Cells, on: ObjectRef, ref: crds.Ref, problems: list[Problem]) -> _Places:
    name = target(ref, on.namespace)
    if resolve_upstream(cells, on, "spec.upstream", name, problems) is None:
        return _Places()
    translation = cells.read(UPSTREAM, name)
    if translation is None:
        return _Places()
    upstream = translation.upstream
    if upstream.protocol != "HTTP1":
        told = f"Upstream {name} takes no webhooks: that needs the protocol HTTP1."
        problems.append(problem(on, Reason.INVALID, "spec.upstream", told))
        return _Places()
    return _Places(upstream.endpoints, upstream.dns)


def _find_keys(cells: Cells, on: ObjectRef, ref: crds.Ref, problems: list[Problem]) -> tuple[bytes, ...]:
    name = target(ref, on.namespace)
    if not is_permitted(cells, kind=on.kind, namespace=on.namespace, to_kind="Secret", to=name):
        message = f"Secret {name} is in another namespace, and no ReferenceGrant there permits it."
        problems.append(problem(on, Reason.REF_NOT_PERMITTED, "spec.secret", message))
        return ()
    found = cells.read(KEYS, name)
    if isinstance(found, Unusable):
        problems.append(problem(on, found.reason, "spec.secret", found.message))
        return ()
    return found


def _read_keys(cells: Cells, name: str) -> tuple[bytes, ...] | Unusable:
    """All keys, by name; one that is malformed spoils them all, for a receiver may know that one alone."""
    secret = cells.read(SECRETS, name)
    if secret is None:
        return Unusable(Reason.SECRET_NOT_FOUND, f"Secret {name} was not found.")
    if secret.type != WEBHOOK_KEYS_TYPE:
        return Unusable(Reason.SECRET_INVALID, f"Secret {name} has type {secret.type}, not {WEBHOOK_KEYS_TYPE}.")
    names = sorted({*secret.data, *secret.string_data})
    if not 1 <= len(names) <= _MOST_KEYS:
        return Unusable(Reason.SECRET_INVALID, f"Secret {name} has {len(names)} keys: 1 to {_MOST_KEYS} are needed.")
    keys: list[bytes] = []
    for each in names:
        key = _parse_key(secret.value(each) or b"")
        if key is None:
            told = f"{each[:64]} of Secret {name} is not {PREFIX} and {_LEAST} to {_MOST} bytes in base64."
            return Unusable(Reason.SECRET_INVALID, told)
        keys.append(key)
    return tuple(keys)


def _parse_key(text: bytes) -> bytes | None:
    text = text.strip()
    if not text.startswith(PREFIX.encode()):
        return None
    try:
        key = base64.b64decode(text.removeprefix(PREFIX.encode()), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if _LEAST <= len(key) <= _MOST else None


KEYS: Rule[tuple[bytes, ...] | Unusable] = Rule("webhook keys", _read_keys)
EVENTHOOK: Rule[HookTranslation | None] = Rule("event hook", _translate_hook, root=True, counted=True)
