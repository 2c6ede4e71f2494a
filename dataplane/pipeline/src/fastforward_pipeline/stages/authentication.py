"""Stage 3, authentication: who the caller is, proven by a JSON Web Token, an API key, a password or a login.

In: the Auth of the entry. Leaves: `identity`. Bad proof is refused even where proof is optional. What is only tried is
judged alike, reported, and refuses nobody. What the proxy
verifies natively (JWT) is accepted and refused here alike: same scheme, same clock, same audiences, same statuses.
"""

from __future__ import annotations

from dataclasses import replace

from fastforward_pipeline.compiled.apikeys import PREFIX, ApiKey, split_key
from fastforward_pipeline.compiled.authpolicy import (
    ANONYMOUS,
    Auth,
    BasicProvider,
    Identity,
    JwtProvider,
    KeyProvider,
    OidcProvider,
    Provider,
)
from fastforward_pipeline.compiled.keyset import KeySet
from fastforward_pipeline.compiled.token import Token, find_token, parse_token
from fastforward_pipeline.compiled.users import User, find_basic, parse_basic
from fastforward_pipeline.decision import Pairs, Refusal
from fastforward_pipeline.effects import Proof, Question, VerifyPassword
from fastforward_pipeline.exchange import Exchange
from fastforward_pipeline.reason import Reason
from fastforward_pipeline.trail import NearMiss, Verdict

from . import oidc, tenant
from .idtoken import speak

_MAX_REALM = 256


def judge(exchange: Exchange) -> Refusal | Question | None:
    """Authenticates the caller as the entry for everybody asks."""
    name = exchange.entry.auth
    if not name:
        return None
    auth = exchange.snapshot.auths.get(name)
    if auth is None:
        return Refusal(reason=Reason.NOT_READY, detail=f"the policies {name} are not in the snapshot")
    outcome = authenticate(exchange, auth)
    if not isinstance(outcome, Identity):
        return outcome
    exchange.identity = outcome
    asked = try_out(exchange, auth, adopt=not auth.required and not (auth.jwt or auth.keys or auth.basic or auth.oidc))
    if asked is None and exchange.trail is not None:
        _tell(exchange, auth, exchange.identity)
    return asked


def try_out(exchange: Exchange, auth: Auth, *, adopt: bool) -> Question | None:
    """Judges what is only tried, and reports it. Whoever has proven something by it is that where `adopt` says so."""
    for trial in auth.trials:
        outcome = authenticate(exchange, trial)
        if isinstance(outcome, Question):
            return outcome
        if isinstance(outcome, Refusal):
            exchange.shade(replace(outcome, headers=()))
        elif adopt and exchange.identity.provider is None and not _contradicted(exchange, outcome):
            exchange.identity = outcome
    return None


def _contradicted(exchange: Exchange, identity: Identity) -> bool:
    """Whether host or peer say another tenant; what is only tried refuses nobody for that, either."""
    others = [(source, name) for source, name in tenant.said_beside(exchange) if identity.tenant not in ("", name)]
    for source, name in others:
        detail = f"the credentials are of {identity.tenant}; {source} says {name}"
        policy = "" if identity.provider is None else f"AuthPolicy {identity.provider.policy}"
        exchange.shade(Refusal(reason=Reason.TENANT_CONFLICT, detail=detail, object=policy))
    return bool(others)


def authenticate(exchange: Exchange, auth: Auth) -> Identity | Refusal | Question:
    """Returns who the caller is by `auth`, or why that is not known, or what must be asked before that.

    A session counts where nothing else is proven: browsers send it by themselves, the others are sent on purpose.
    """
    answered = oidc.answer(exchange, auth.oidc) if auth.oidc is not None else None
    proven = answered or _verify_sent(exchange, auth)
    if proven is None and auth.oidc is not None:
        proven = oidc.find_session(exchange, auth.oidc)
    if isinstance(proven, Identity):
        exchange.proved.append(proven)
    return proven or (_refuse_missing(exchange, auth) if auth.required else ANONYMOUS)


def _verify_sent(exchange: Exchange, auth: Auth) -> Identity | Refusal | VerifyPassword | None:
    """Returns who the caller is by what it sends on purpose; None when that is nothing."""
    by_password = _verify_basic(exchange, auth) if auth.basic else None
    if isinstance(by_password, VerifyPassword | Refusal):
        return by_password
    token = _find_token(exchange, auth) if auth.jwt else None
    proven = by_password if token is None else _verify_token(exchange, auth, token)
    taken = token is not None or by_password is not None
    return proven if isinstance(proven, Refusal) else _verify_keys(exchange, auth, proven, taken=taken)


def _verify_keys(exchange: Exchange, auth: Auth, proven: Identity | None, *, taken: bool) -> Identity | Refusal | None:
    """Returns who the caller is, also by keys; `taken` says that `authorization` holds no key."""
    for header, providers in auth.keys_by_header:
        text = exchange.request.header(header)
        if text is None or (taken and header == "authorization"):
            continue
        by_key = _verify_key(exchange, providers, text)
        if isinstance(by_key, Refusal):
            return by_key
        if proven is not None and proven.tenant != by_key.tenant:
            detail = f"the credentials are of {proven.tenant or 'no tenant'} and of {by_key.tenant or 'no tenant'}"
            return _refuse(Reason.TENANT_CONFLICT, by_key.provider or providers[0], detail)
        exchange.proved.append(by_key)
        proven = proven or by_key
    return proven


def _find_token(exchange: Exchange, auth: Auth) -> str | None:
    authorization = exchange.request.header("authorization")
    token = None if authorization is None else find_token(authorization)
    if token is not None and token.startswith(PREFIX) and any(key.header == "authorization" for key in auth.keys):
        return None
    return token


def find_question(exchange: Exchange, auth: Auth) -> VerifyPassword | None:
    """Returns what must be verified before `authenticate` can tell."""
    outcome = _verify_basic(exchange, auth)
    return outcome if isinstance(outcome, VerifyPassword) else None


def _verify_basic(exchange: Exchange, auth: Auth) -> Identity | Refusal | VerifyPassword | None:
    """None when there is no password. The first user of that name is meant, also when another one has the password."""
    credentials = find_basic(exchange.request.header("authorization") or "")
    if credentials is None:
        return None
    given = parse_basic(credentials)
    if given is None:
        return _refuse(Reason.PASSWORD_WRONG, auth.basic[0], "no name and password", _basic_scheme(exchange))
    name, password = given
    provider, user, hashed = _find_user(exchange, auth, name)
    if not hashed:
        return _refuse(Reason.NOT_READY, provider, "its users are not in the snapshot")
    asked = VerifyPassword(hashed, password)
    proof = exchange.proofs.get(asked)
    return asked if proof is None else _judge_proof(exchange, provider, name, user, proof)


def _judge_proof(
    exchange: Exchange, provider: BasicProvider, name: str, user: User | None, proof: Proof
) -> Identity | Refusal:
    if proof is Proof.BUSY:
        detail = "nobody had the time to verify the password"
        return _refuse(Reason.PASSWORDS_BUSY, provider, detail, (("retry-after", "1"),))
    if user is None or proof is not Proof.RIGHT:
        detail = f"there is no user {name[:60]!r}" if user is None else f"it is not the password of {name[:60]!r}"
        return _refuse(Reason.PASSWORD_WRONG, provider, detail, _basic_scheme(exchange))
    if user.tenant and not provider.may_speak_for(user.tenant, exchange.scope.namespace):
        detail = f"its users may not be of the tenant {user.tenant!r}"
        return _refuse(Reason.TENANT_NOT_ALLOWED, provider, detail)
    return user.identity(provider)


def _find_user(exchange: Exchange, auth: Auth, name: str) -> tuple[BasicProvider, User | None, str]:
    """Returns the user, whose he is and what to compare with: of an unknown one, a hash that is nobody's."""
    nobody = ""
    for provider in auth.basic:
        for secret in provider.users:
            users = exchange.snapshot.users.get(secret)
            user = None if users is None else users.users.get(name)
            if user is not None:
                return provider, user, user.hash
            nobody = nobody or ("" if users is None else users.nobody)
    return auth.basic[0], None, nobody


def _verify_token(exchange: Exchange, auth: Auth, text: str) -> Identity | Refusal:
    """Tries each provider; the last one whose issuer it is says why not, as in the proxy."""
    said: Refusal | None = None
    parsed: Token | None = None
    for provider in auth.jwt:
        keyset = exchange.snapshot.keysets.get(provider.keyset)
        if keyset is None:
            said = _refuse(Reason.NOT_READY, provider, f"the keys {provider.keyset} are not in the snapshot")
            continue
        known = keyset.find(text)
        if known is None and parsed is None:
            try:
                parsed = parse_token(text)
            except ValueError as error:
                return _refuse_token(exchange, provider, f"the token is malformed: {error}")
        token = known or parsed
        if token is None or token.issuer != provider.issuer:
            _miss(exchange, provider, "jwt.issuer", provider.issuer, "" if token is None else token.issuer)
            continue
        said = _check_token(exchange, provider, keyset, token, None if known is token else text)
        if said is None:
            return speak(provider, token, exchange.scope.namespace)
    return said or _refuse_token(exchange, auth.jwt[0], "no provider has the token's issuer")


def _check_token(
    exchange: Exchange, provider: JwtProvider, keyset: KeySet, token: Token, unverified: str | None
) -> Refusal | None:
    """Checks time, audience and, unless it was verified before, the signature: in this order, as the proxy does."""
    now, skew = int(exchange.request.now), provider.skew_s
    if token.not_before > now + skew:
        return _refuse_token(exchange, provider, f"the token is valid in {token.not_before - now} s only")
    if token.expires and now > token.expires + skew:
        return _refuse_token(exchange, provider, f"the token expired {now - token.expires} s ago")
    if provider.audiences and provider.audiences.isdisjoint(token.audiences):
        expected, got = " or ".join(sorted(provider.audiences)), ", ".join(sorted(token.audiences)) or "none"
        return _refuse(Reason.AUDIENCE_NOT_ALLOWED, provider, f"the audience is {got}, not {expected}")
    if unverified is not None and not keyset.verify(unverified, token):
        detail = f"no key {token.kid!r} of the issuer has signed the token with {token.alg}"
        return _refuse_token(exchange, provider, detail)
    return None


def _verify_key(exchange: Exchange, providers: tuple[KeyProvider, ...], text: str) -> Identity | Refusal:
    """Tries each provider of the header; the last one that knows the key says why not."""
    given = split_key(text.removeprefix("Bearer ").strip())
    said: Refusal | None = None
    for provider in providers:
        key = None if given is None else _find_key(exchange, provider, *given)
        outcome = None if key is None else _check_key(exchange, provider, key)
        if isinstance(outcome, Identity):
            return outcome
        said = outcome or said
    unknown = "the API key is malformed, unknown or revoked"
    return said or _refuse(Reason.KEY_UNKNOWN, providers[0], unknown, _key_scheme(exchange))


def _check_key(exchange: Exchange, provider: KeyProvider, key: ApiKey) -> Identity | Refusal:
    if key.not_after and exchange.request.now > key.not_after:
        detail = f"the key {key.id} expired {int(exchange.request.now) - key.not_after} s ago"
        return _refuse(Reason.KEY_EXPIRED, provider, detail, _key_scheme(exchange))
    if key.tenant and not provider.may_speak_for(key.tenant, exchange.scope.namespace):
        detail = f"its keys may not name the tenant {key.tenant!r}"
        return _refuse(Reason.TENANT_NOT_ALLOWED, provider, detail)
    return key.identity(provider)


def _find_key(exchange: Exchange, provider: KeyProvider, id_: str, secret: str) -> ApiKey | None:
    for name in provider.apikeys:
        keys = exchange.snapshot.apikeys.get(name)
        if keys is not None and (key := keys.find(id_, secret)) is not None:
            return key
    return None


def _refuse(reason: Reason, provider: Provider, detail: str, headers: Pairs = ()) -> Refusal:
    return Refusal(
        reason=reason, detail=detail, object=f"AuthPolicy {provider.policy}", field=provider.field, headers=headers
    )


def _refuse_token(exchange: Exchange, provider: Provider, detail: str) -> Refusal:
    challenge = f'{_bearer(exchange)}, error="invalid_token"'
    return _refuse(Reason.TOKEN_INVALID, provider, detail, (("www-authenticate", challenge),))


def _refuse_missing(exchange: Exchange, auth: Auth) -> Refusal | Question:
    """Says what is missing, and challenges for it (RFC 9110, section 11.6.1); a browser is sent to log in."""
    if auth.oidc is not None:
        instead = (
            *((("www-authenticate", _bearer(exchange)),) if auth.jwt else ()),
            *(_key_scheme(exchange) if auth.keys else ()),
            *(_basic_scheme(exchange) if auth.basic else ()),
        )
        return oidc.begin(exchange, auth.oidc, instead)
    bearer, key = (("www-authenticate", _bearer(exchange)),), _key_scheme(exchange)
    if auth.basic:
        return _refuse_without_password(exchange, auth, (*(bearer if auth.jwt else ()), *(key if auth.keys else ())))
    if not auth.keys:
        reason, headers, detail = Reason.TOKEN_MISSING, bearer, "there is no `Authorization: Bearer`"
    elif not auth.jwt:
        reason, headers, detail = Reason.KEY_MISSING, key, f"there is no header {auth.keys[0].header}"
    else:
        reason, headers, detail = Reason.CREDENTIALS_MISSING, (*bearer, *key), "there is neither a token nor a key"
    providers: tuple[Provider, ...] = (*auth.jwt, *auth.keys)
    policy = f"AuthPolicy {providers[0].policy}" if providers else f"AuthPolicy {auth.name}"
    return Refusal(reason=reason, detail=detail, object=policy, field="spec.authentication.mode", headers=headers)


def _refuse_without_password(exchange: Exchange, auth: Auth, others: Pairs) -> Refusal:
    reason = Reason.CREDENTIALS_MISSING if others else Reason.PASSWORD_MISSING
    return Refusal(
        reason=reason,
        detail="there is no `Authorization: Basic`" + (", nor anything else that is taken" if others else ""),
        object=f"AuthPolicy {auth.basic[0].policy}",
        field="spec.authentication.mode",
        headers=(*others, *_basic_scheme(exchange)),
    )


def _basic_scheme(exchange: Exchange) -> Pairs:
    """Returns the challenge for a password (RFC 7617, section 2.1)."""
    return (("www-authenticate", f'Basic realm="{exchange.scope.host}", charset="UTF-8"'),)


def _bearer(exchange: Exchange) -> str:
    """Returns the challenge for a token; its realm is the URL, for the proxy leaves no choice where it asks itself."""
    request = exchange.request
    return f'Bearer realm="{request.scheme}://{request.host}{request.path[:_MAX_REALM]}"'


def _key_scheme(exchange: Exchange) -> Pairs:
    return (("www-authenticate", f'ApiKey realm="{exchange.scope.host}"'),)


def _miss(exchange: Exchange, provider: Provider, field: str, expected: str, got: str) -> None:
    if exchange.trail is not None:
        exchange.trail.miss(
            NearMiss(
                stage="authentication",
                object=f"AuthPolicy {provider.policy}",
                field=f"{provider.field}.{field}",
                expected=expected,
                got=got or "none",
            )
        )


def _tell(exchange: Exchange, auth: Auth, identity: Identity) -> None:
    provider = identity.provider
    if exchange.trail is None:
        return
    if provider is None:
        detail = (
            "the caller is anonymous"
            if auth.jwt or auth.keys or auth.basic or auth.oidc
            else "no credentials are asked for"
        )
        exchange.trail.note("authentication", Verdict.PASSED, detail, object=f"AuthPolicy {auth.name}")
        return
    how = f"the API key {identity.key_id}" if identity.key_id else "a token"
    if isinstance(provider, BasicProvider):
        how = "a password"
    if isinstance(provider, OidcProvider):
        how = "a session"
    detail = f"the caller is {identity.subject or 'without subject'}, by {how}"
    exchange.trail.note(
        "authentication", Verdict.PASSED, detail, object=f"AuthPolicy {provider.policy}", field=provider.field
    )
