"""A provider that logs in by OpenID Connect: how it is judged, and the client that it is to its issuer.

In: a provider's `oidc`, the Secret, the keys and the Upstream that it names. Out: `ir.OidcLogin` with Problems for
authpolicy; OIDC, the `ir.OidcClient`, for the Snapshot. Why two values: a new secret, or an endpoint that comes and
goes, is no new policy.
"""

from __future__ import annotations

from typing import NamedTuple

import fastforward_crds as crds

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells, Rule
from fastforward_compiler.problem import ObjectRef, Problem, Reason, problem

from .certificate import Unusable
from .keyset import KEYSET, find_source
from .reference import is_permitted, target
from .upstream import UPSTREAM, Traits, fault_of_asking, resolve_upstream
from .world import AUTH_POLICIES, SECRETS

_MIN_SECRET = 16
"""Bytes: whoever has a cookie may try all shorter ones."""


class ClientFound(NamedTuple):
    """The client."""

    client: ir.OidcClient


def translate_oidc(
    cells: Cells, on: ObjectRef, field: str, name: str, oidc: crds.Oidc, problems: list[Problem]
) -> ir.OidcLogin | None:
    """How the provider of that name judges; None, with Problems, when it can't."""
    source, place = find_source(oidc.jwks, on.namespace)
    keyset = _permitted(cells, on, source.kind, source.name) or cells.read(KEYSET, source)
    if isinstance(keyset, Unusable):
        problems.append(problem(on, keyset.reason, f"{field}.jwks.{place}", keyset.message))
    secret = _find_secret(cells, on, oidc.client_secret)
    if isinstance(secret, Unusable):
        problems.append(problem(on, secret.reason, f"{field}.clientSecret", secret.message))
    reached = _reaches(cells, on, field, oidc, problems)
    if isinstance(keyset, Unusable) or isinstance(secret, Unusable) or not reached:
        return None
    if cells.read(OIDC, name) is None:
        return None
    return ir.OidcLogin(
        issuer=oidc.issuer,
        client_id=oidc.client_id,
        keyset=keyset.name,
        tenant_claim=oidc.tenant_claim,
        roles_claim=oidc.roles_claim,
        permissions_claim=oidc.permissions_claim,
        authorization_url=oidc.endpoints.authorization,
        end_session_url=oidc.endpoints.end_session or "",
        scope=" ".join(dict.fromkeys(("openid", *oidc.scopes))),
        origin=oidc.origin or "",
        redirect_path=oidc.redirect_path,
        logout_path=oidc.logout_path,
        session_s=crds.milliseconds(oidc.session_ttl) // 1000,
    )


def _permitted(cells: Cells, on: ObjectRef, kind: str, name: str) -> Unusable | None:
    if kind == "URL" or is_permitted(cells, kind=on.kind, namespace=on.namespace, to_kind=kind, to=name):
        return None
    message = f"{kind} {name} is in another namespace, and no ReferenceGrant there permits it."
    return Unusable(Reason.REF_NOT_PERMITTED, message)


def _find_secret(cells: Cells, on: ObjectRef, ref: crds.KeyRef) -> bytes | Unusable:
    name = target(ref, on.namespace)
    forbidden = _permitted(cells, on, "Secret", name)
    return forbidden or _read_secret(cells, name, ref.key)


def _read_secret(cells: Cells, name: str, key: str) -> bytes | Unusable:
    secret = cells.read(SECRETS, name)
    if secret is None:
        return Unusable(Reason.SECRET_NOT_FOUND, f"Secret {name} was not found.")
    value = secret.value(key)
    if value is None:
        return Unusable(Reason.SECRET_INVALID, f"Secret {name} has no key {key}.")
    if len(value) < _MIN_SECRET or not value.isascii() or not value.decode().isprintable():
        message = f"Key {key} of Secret {name} is no text in ASCII of at least {_MIN_SECRET} characters on one line."
        return Unusable(Reason.SECRET_INVALID, message)
    return value


def _reaches(cells: Cells, on: ObjectRef, field: str, oidc: crds.Oidc, problems: list[Problem]) -> bool:
    """Whether the token endpoint can be asked through the Upstream: in HTTP/1.1, by TLS where its URL says so."""
    name, place = target(oidc.token_upstream, on.namespace), f"{field}.tokenUpstream"
    traits = resolve_upstream(cells, on, place, name, problems)
    if traits is None:
        return False
    fault = fault_of_asking(traits) or _fault_of_scheme(oidc.endpoints.token, traits)
    if fault:
        message = f"Upstream {name} can't be asked for tokens: {fault}"
        problems.append(problem(on, Reason.INVALID, place, message))
    return not fault


def _fault_of_scheme(url: str, traits: Traits) -> str:
    if traits.tls == url.startswith("https://"):
        return ""
    said = "is http, but the Upstream has tls" if traits.tls else "is https, so the Upstream needs tls"
    return f"the token endpoint {said}."


def _make_client(cells: Cells, name: str) -> ClientFound | None:
    """The client of the provider POLICY_NAMESPACE/POLICY_NAME/PROVIDER; None where there is none, or a broken one."""
    policy, _, simple = name.rpartition("/")
    found = cells.read(AUTH_POLICIES, policy)
    if found is None or found.spec.authentication is None:
        return None
    oidc = next((p.oidc for p in found.spec.authentication.providers if p.name == simple), None)
    if oidc is None:
        return None
    namespace = policy.partition("/")[0]
    secret = _read_secret(cells, target(oidc.client_secret, namespace), oidc.client_secret.key)
    made = cells.read(UPSTREAM, target(oidc.token_upstream, namespace))
    if made is None or isinstance(secret, Unusable):
        return None
    upstream = made.upstream
    client = ir.OidcClient(
        name=name,
        client_id=oidc.client_id,
        secret=secret,
        token_url=oidc.endpoints.token,
        in_form=oidc.token_authentication == "Post",
        endpoints=upstream.endpoints,
        dns=upstream.dns,
        tls=upstream.tls,
    )
    return ClientFound(client)


OIDC: Rule[ClientFound | None] = Rule("OIDC client", _make_client)
"""(name of the provider)."""
