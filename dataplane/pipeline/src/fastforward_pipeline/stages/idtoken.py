"""Judges an ID token (OpenID Connect Core 1.0, section 3.1.3.7). Called by oidc, and for the tenant by authentication.

In: the token that a code was exchanged for, and what the login had asked for. Out: whom it proves, or why it does not.
"""

from __future__ import annotations

import hmac

from fastforward_pipeline.compiled.authpolicy import Identity, OidcProvider, TokenProvider, find_claim, read_identity
from fastforward_pipeline.compiled.token import Token, parse_token
from fastforward_pipeline.decision import Refusal
from fastforward_pipeline.exchange import Exchange
from fastforward_pipeline.reason import Reason

_SKEW_S = 60
_MISSING = object()


def judge_id_token(
    exchange: Exchange, provider: OidcProvider, client_id: str, text: str, nonce: str
) -> Identity | Refusal | str:
    """Returns whom the token proves; a sentence when it proves nothing, a Refusal when the tenant is not allowed."""
    keyset = exchange.snapshot.keysets.get(provider.keyset)
    if keyset is None:
        return f"the keys {provider.keyset} are not in the snapshot"
    try:
        token = parse_token(text)
    except ValueError as error:
        return f"the ID token is malformed: {error}"
    fault = _fault_of(token, provider, client_id, nonce, int(exchange.request.now))
    if fault:
        return fault
    if not keyset.verify(text, token):
        return f"no key {token.kid!r} of the issuer has signed the ID token with {token.alg}"
    return speak(provider, token, exchange.scope.namespace)


def _fault_of(token: Token, provider: OidcProvider, client_id: str, nonce: str, now: int) -> str:
    if token.issuer != provider.issuer:
        return f"the ID token is of {token.issuer[:100]!r}, not of {provider.issuer}"
    if not hmac.compare_digest(str(token.claims.get("nonce")).encode("utf-8", "replace"), nonce.encode()):
        return "the ID token is of another login (nonce)"
    if not token.subject:
        return "the ID token names no subject"
    return _fault_of_audience(token, client_id) or _fault_of_time(token, now)


def _fault_of_audience(token: Token, client_id: str) -> str:
    """As they are: what the proxy takes for one audience of tokens may be two clients."""
    given = token.claims.get("aud")
    audiences = [given] if isinstance(given, str) else given
    if not isinstance(audiences, list) or client_id not in audiences:
        return f"the ID token is for {', '.join(sorted(token.audiences))[:100] or 'nobody'}, not for {client_id}"
    if token.claims.get("azp", client_id) != client_id or (len(audiences) > 1 and "azp" not in token.claims):
        return "the ID token was issued to another client (azp)"
    return ""


def _fault_of_time(token: Token, now: int) -> str:
    if not token.expires or now > token.expires + _SKEW_S:
        return "the ID token has expired" if token.expires else "the ID token has no end (exp)"
    return "the ID token is not valid yet" if token.not_before > now + _SKEW_S else ""


def speak(provider: TokenProvider, token: Token, namespace: str) -> Identity | Refusal:
    """Returns the identity, if the provider may speak for the tenant of the namespace that the token names."""
    claim = find_claim(token.claims, provider.tenant_claim, _MISSING)
    if claim is _MISSING or (provider.any_tenant and provider.is_of(namespace) and (claim is None or claim == "")):
        return read_identity(provider, token, "")
    if not isinstance(claim, str) or not _is_tenant(claim) or not provider.may_speak_for(claim, namespace):
        detail = f"its tokens may not name the tenant {str(claim)[:60]!r}"
        policy = f"AuthPolicy {provider.policy}"
        return Refusal(reason=Reason.TENANT_NOT_ALLOWED, detail=detail, object=policy, field=provider.field)
    return read_identity(provider, token, claim)


def _is_tenant(text: str) -> bool:
    """Whether `text` could name a tenant: no spaces, and not the name of everybody's table."""
    return text != "-" and text.isascii() and text.isprintable() and " " not in text and text != ""
