"""Login by OpenID Connect (Core 1.0, section 3.1: code flow, with PKCE, RFC 7636); called by authentication.

In: the entry's OidcProvider, the request's cookies. Out: where to send the browser and what cookies it gets, or who it
is. Nothing is kept here: what a login needs until it comes back is in a cookie of its own, one for each page that
waits, and the session is in another, both sealed. A code is redeemed only in the browser that asked for it, and once.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from fastforward_pipeline.compiled.authpolicy import Identity, OidcProvider
from fastforward_pipeline.compiled.oidc import IV_BYTES, OidcClient, base64url
from fastforward_pipeline.decision import REMOVED, Pairs, Refusal
from fastforward_pipeline.effects import DrawBytes, Drawn, RedeemCode, Redeemed
from fastforward_pipeline.exchange import Exchange
from fastforward_pipeline.reason import Reason

from .idtoken import judge_id_token

LOGIN_S = 600
"""How long a browser may take to log in."""
_OURS = re.compile(r"(?:__Host-)?ff-(?:session|login)-[0-9a-f]{8}(?:-[A-Za-z0-9_-]{8})?")
_STATE = re.compile("[A-Za-z0-9_-]{22}")
_MOST_WAITING = 4
"""Logins that one browser has under way; with more, it begins anew: cookies are sent with every request."""
_LONGEST_TARGET = 1024
_LONGEST_SESSION = 3800
"""Of a cookie's 4096 bytes, its name and attributes included (RFC 6265, section 6.1)."""
_LONGEST_CODE = 4096
_MOST_PARAMETERS = 32
_PRINTABLE = "!#$%&'()*+,-./:;=?@[]_~"


@dataclass(frozen=True, slots=True)
class _Login:
    """A provider, its client, and how the browser sees this host."""

    provider: OidcProvider
    client: OidcClient
    site: str
    """Scheme, host and maybe port."""

    def context(self, purpose: str) -> str:
        """Returns what a cookie is sealed for."""
        return f"{purpose} {urlsplit(self.site).netloc.lower()}"

    def cookie(self, kind: str) -> str:
        """Returns the name of a cookie. With TLS no other host can have set one of that name (RFC 6265bis, 4.1.3)."""
        prefix = "__Host-" if self.site.startswith("https:") else ""
        return f"{prefix}ff-{kind}-{self.client.mark}"

    def write(self, name: str, value: str, seconds: int) -> tuple[str, str]:
        """Returns the header that sets a cookie; with 0 seconds, that takes it away."""
        secure = "; Secure" if self.site.startswith("https:") else ""
        return "set-cookie", f"{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"

    def refuse(self, reason: Reason, detail: str, *headers: tuple[str, str]) -> Refusal:
        """Returns the answer, which is no only as long as a login has not ended."""
        policy, field = f"AuthPolicy {self.provider.policy}", f"{self.provider.field}.oidc"
        return Refusal(reason=reason, detail=detail, object=policy, field=field, headers=headers)

    @property
    def redirect_uri(self) -> str:
        """Where the issuer sends the browser back to."""
        return self.site + self.provider.redirect_path


def answer(exchange: Exchange, provider: OidcProvider) -> Refusal | DrawBytes | RedeemCode | None:
    """Answers what belongs to the login itself: a browser that comes back from the issuer, and one that logs out."""
    if not _redirects(exchange, provider):
        return None
    path, _, query = exchange.request.path.partition("?")
    if path not in (provider.redirect_path, provider.logout_path):
        return None
    login = _login(exchange, provider)
    if isinstance(login, Refusal):
        return login
    if path == provider.logout_path:
        return _log_out(login)
    return _come_back(exchange, login, query) if exchange.request.method == "GET" else None


def begin(exchange: Exchange, provider: OidcProvider, challenges: Pairs) -> Refusal | DrawBytes:
    """Sends a browser to the issuer; anybody else is told that a login is needed, and what would do instead."""
    login = _login(exchange, provider)
    if isinstance(login, Refusal):
        return login
    if not (_redirects(exchange, provider) and _is_page(exchange)):
        challenge = ("www-authenticate", f'OpenID realm="{exchange.scope.host}"')
        return login.refuse(Reason.LOGIN_REQUIRED, "there is no session, and no browser", *challenges, challenge)
    asked = DrawBytes(16 + 16 + 32 + IV_BYTES, "login")
    drawn = exchange.answers.get(asked)
    if not isinstance(drawn, Drawn):
        return asked
    octets = drawn.octets
    state, nonce, verifier = base64url(octets[:16]), base64url(octets[16:32]), base64url(octets[32:64])
    kept = {
        "state": state,
        "nonce": nonce,
        "verifier": verifier,
        "target": local_target(exchange.request.path),
        "until": int(exchange.request.now) + LOGIN_S,
    }
    name = f"{login.cookie('login')}-{state[:8]}"
    sealed = login.client.seal(kept, login.context("login"), octets[64:])
    asking = {
        "response_type": "code",
        "client_id": login.client.client_id,
        "redirect_uri": login.redirect_uri,
        "scope": provider.scope,
        "state": state,
        "nonce": nonce,
        "code_challenge": base64url(sha256(verifier.encode()).digest()),
        "code_challenge_method": "S256",
    }
    return login.refuse(
        Reason.LOGIN_STARTED,
        f"there is no session, so the browser is sent to {provider.issuer}",
        ("location", _with_query(provider.authorization_url, asking)),
        login.write(name, sealed, LOGIN_S),
        *_tidy(exchange, login),
    )


def find_session(exchange: Exchange, provider: OidcProvider) -> Identity | Refusal | None:
    """Returns whose session it is; None when there is none that is valid."""
    if "cookie" not in exchange.request.headers:
        return None
    login = _login(exchange, provider)
    if isinstance(login, Refusal):
        return login
    kept = _unseal(exchange, login, login.cookie("session"), "session")
    identity = None if kept is None else _read(provider, kept)
    if identity is None or identity.until <= exchange.request.now:
        return None
    if identity.tenant and not provider.may_speak_for(identity.tenant, exchange.scope.namespace):
        detail = f"its sessions may not be of the tenant {identity.tenant[:60]!r}"
        return login.refuse(Reason.TENANT_NOT_ALLOWED, detail)
    return identity


def without_cookies(exchange: Exchange) -> Pairs:
    """Returns what the proxy writes over the request, so that upstreams see none of these cookies.

    An adapter judges the session again, so it does see them.
    """
    plan = exchange.governing()
    login = _login_of_entry(exchange)
    if login is None or not _redirects(exchange, login) or plan is None or plan.destination == "adapter":
        return ()
    others = others_cookies(exchange)
    if others is None:
        return ()
    return (("cookie", others),) if others else ((REMOVED, "cookie"),)


def others_cookies(exchange: Exchange) -> str | None:
    """Returns the request's cookies without those of logins, empty for none left; None where all are of others."""
    cookies = list(_cookies(exchange))
    others = [text for name, text in cookies if _OURS.fullmatch(name) is None]
    return None if len(others) == len(cookies) else "; ".join(others)


def local_target(path: str) -> str:
    """Returns the path as a reference that leads nowhere but to the same host: `//elsewhere/` would.

    What a URL can't hold is encoded; a path that is too long is forgotten.
    """
    written = "/" + quote(path.encode("latin-1", "replace"), safe=_PRINTABLE).lstrip("/")
    return written if len(written) <= _LONGEST_TARGET else "/"


def _login(exchange: Exchange, provider: OidcProvider) -> _Login | Refusal:
    client = exchange.snapshot.oidc.get(provider.name)
    if client is None:
        detail, policy = "its client is not in the snapshot", f"AuthPolicy {provider.policy}"
        return Refusal(reason=Reason.NOT_READY, detail=detail, object=policy, field=f"{provider.field}.oidc")
    request = exchange.request
    return _Login(provider, client, provider.origin or f"{request.scheme}://{request.host}")


def _login_of_entry(exchange: Exchange) -> OidcProvider | None:
    entry = exchange.entered()
    auth = None if entry is None else exchange.snapshot.auths.get(entry.auth)
    return None if auth is None else auth.oidc


def _redirects(exchange: Exchange, provider: OidcProvider) -> bool:
    """Whether answers of a login reach the browser: the proxy lets them pass where the entry asks for this login. One
    that is only tried sends nobody away.
    """
    login = _login_of_entry(exchange)
    return exchange.interactive and login is not None and login.name == provider.name


def _is_page(exchange: Exchange) -> bool:
    """Whether a browser opens a page: what scripts and images ask for would follow a redirect to nowhere."""
    request = exchange.request
    mode = request.text("sec-fetch-mode").lower()
    return request.method == "GET" and "text/html" in request.text("accept").lower() and mode in ("", "navigate")


def _come_back(exchange: Exchange, login: _Login, query: str) -> Refusal | DrawBytes | RedeemCode:
    said = _parameters(query)
    kept = _find_waiting(exchange, login, said.get("state", ""))
    if kept is None:
        return login.refuse(Reason.LOGIN_FAILED, "no login of this browser waits for that answer")
    over = login.write(f"{login.cookie('login')}-{said['state'][:8]}", "", 0)
    fault = _fault_of(said, kept, login.provider, exchange.request.now)
    if fault:
        return login.refuse(Reason.LOGIN_FAILED, fault, over)
    asked = RedeemCode(login.client, said["code"], str(kept["verifier"]), login.redirect_uri)
    redeemed = exchange.answers.get(asked)
    return _believe(exchange, login, redeemed, kept, over) if isinstance(redeemed, Redeemed) else asked


def _find_waiting(exchange: Exchange, login: _Login, state: str) -> Mapping[str, object] | None:
    """Returns what this browser keeps of the login that has this state; None for a login of somebody else."""
    if _STATE.fullmatch(state) is None:
        return None
    kept = _unseal(exchange, login, f"{login.cookie('login')}-{state[:8]}", "login")
    return kept if kept is not None and hmac.compare_digest(str(kept.get("state")), state) else None


def _fault_of(said: Mapping[str, str], kept: Mapping[str, object], provider: OidcProvider, now: float) -> str:
    """Why the issuer's answer gives no code; empty when it gives one."""
    until, issuer, code = kept.get("until"), said.get("iss", provider.issuer), said.get("code", "")
    if not isinstance(until, int) or until <= now:
        return f"the login took more than {LOGIN_S} s"
    if issuer != provider.issuer:  # RFC 9207
        return f"the answer is of {issuer[:100]!r}"
    if "error" in said or not 0 < len(code) <= _LONGEST_CODE:
        return f"the issuer says {said.get('error', 'nothing')[:100]!r}"
    return ""


def _believe(
    exchange: Exchange, login: _Login, redeemed: Redeemed, kept: Mapping[str, object], over: tuple[str, str]
) -> Refusal | DrawBytes:
    """Judges what the code was exchanged for."""
    if redeemed.fault:
        reason = Reason.LOGIN_FAILED if redeemed.reached else Reason.LOGIN_UNAVAILABLE
        return login.refuse(reason, redeemed.fault, over)
    identity = judge_id_token(exchange, login.provider, login.client.client_id, redeemed.id_token, str(kept["nonce"]))
    if isinstance(identity, str):
        return login.refuse(Reason.LOGIN_FAILED, identity, over)
    if isinstance(identity, Refusal):
        return login.refuse(identity.reason, identity.detail, over)
    return _settle(exchange, login, identity, str(kept["target"]), over)


def _settle(
    exchange: Exchange, login: _Login, identity: Identity, target: str, over: tuple[str, str]
) -> Refusal | DrawBytes:
    """Makes the session, and sends the browser to the page that it came for."""
    asked = DrawBytes(IV_BYTES, "session")
    drawn = exchange.answers.get(asked)
    if not isinstance(drawn, Drawn):
        return asked
    seconds = login.provider.session_s
    kept = {
        "subject": identity.subject,
        "tenant": identity.tenant,
        "roles": sorted(identity.roles),
        "permissions": sorted(identity.permissions),
        "until": int(exchange.request.now) + seconds,
    }
    sealed = login.client.seal(kept, login.context("session"), drawn.octets)
    if len(sealed) > _LONGEST_SESSION:
        detail = f"{len(identity.roles)} roles and {len(identity.permissions)} permissions are too many for a cookie"
        return login.refuse(Reason.LOGIN_FAILED, detail, over)
    return login.refuse(
        Reason.LOGGED_IN,
        f"{identity.subject} has logged in, until {seconds} s from now",
        ("location", local_target(target)),
        login.write(login.cookie("session"), sealed, seconds),
        over,
    )


def _log_out(login: _Login) -> Refusal:
    """Ends the session here, and at the issuer if that has a place for it (RP-Initiated Logout 1.0)."""
    location = "/"
    if login.provider.end_session_url:
        asking = {"client_id": login.client.client_id, "post_logout_redirect_uri": f"{login.site}/"}
        location = _with_query(login.provider.end_session_url, asking)
    over = login.write(login.cookie("session"), "", 0)
    return login.refuse(Reason.LOGGED_OUT, "the session has ended", ("location", location), over)


def _tidy(exchange: Exchange, login: _Login) -> Iterator[tuple[str, str]]:
    """Yields the headers that take away logins that never came back, once there are many."""
    begun = login.cookie("login") + "-"
    waiting = [name for name, _ in _cookies(exchange) if name.startswith(begun) and _OURS.fullmatch(name)]
    if len(waiting) >= _MOST_WAITING:
        yield from (login.write(name, "", 0) for name in waiting[:_MOST_PARAMETERS])


def _with_query(url: str, asking: Mapping[str, str]) -> str:
    bare, _, _ = url.partition("#")
    return f"{bare}{'&' if '?' in bare else '?'}{urlencode(asking, quote_via=quote)}"


def _parameters(query: str) -> dict[str, str]:
    """Returns the parameters; none when one of them is there twice, or they are too many."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        return {}
    found = dict(pairs)
    return found if len(found) == len(pairs) else {}


def _cookies(exchange: Exchange) -> Iterator[tuple[str, str]]:
    """Yields the name and the whole text of each cookie."""
    for line in exchange.request.headers.get("cookie", ()):
        for part in line.split(";"):
            text = part.strip(" \t")
            if text:
                yield text.partition("=")[0], text


def _unseal(exchange: Exchange, login: _Login, name: str, purpose: str) -> Mapping[str, object] | None:
    """Returns what the cookie holds; of several by that name (another host may have set one), the one that is ours."""
    for given, text in _cookies(exchange):
        if given == name:
            kept = login.client.unseal(text.partition("=")[2], login.context(purpose))
            if kept is not None:
                return kept
    return None


def _read(provider: OidcProvider, kept: Mapping[str, object]) -> Identity | None:
    """Returns whom a session is of; None for one that another version has written."""
    subject, tenant, until = kept.get("subject"), kept.get("tenant"), kept.get("until")
    roles, permissions = kept.get("roles"), kept.get("permissions")
    if not (isinstance(subject, str) and isinstance(tenant, str) and isinstance(until, int)):
        return None
    if not (isinstance(roles, list) and isinstance(permissions, list)):
        return None
    return Identity(
        subject=subject,
        tenant=tenant,
        roles=frozenset(map(str, roles)),
        permissions=frozenset(map(str, permissions)),
        provider=provider,
        until=until,
    )
