"""Annotations of ingress-nginx to what they want done.

In: the annotations of an Ingress. Out: `NginxWishes`. Called by ingress. Source:
https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urlsplit

from .draft import Document, PolicyName
from .external import Headers, take_service, unsaid
from .nginxhost import may_refuse
from .pathregex import PREFIX
from .reading import Field, Item
from .wishes import Wishes

_SIZE = re.compile(r"([0-9]{1,18})([kKmMgG]?)")
_HOST = re.compile(r"(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_MOST_BODY = 1 << 30
_METHODS = "GET, PUT, POST, DELETE, PATCH, OPTIONS"
_HEADERS = "DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,Authorization"


@dataclass(slots=True)
class NginxWishes(Wishes):
    """What the annotations of one Ingress want."""

    regex: bool = False
    target: Field | None = None
    """`rewrite-target`."""
    to_secured: bool | None = None
    """Whether clear text is sent to HTTPS where the host has a certificate; it is when nothing is said."""
    forced: bool = False
    """Whether it is sent there in any case."""
    app_root: str = ""
    aliases: list[str] = field(default_factory=list)
    www: bool = False
    canary: dict[str, Field] = field(default_factory=dict)
    cors: dict[str, Field] = field(default_factory=dict)
    code: int = 0


def read_nginx(item: Item) -> NginxWishes:
    """What the annotations say; those that are not known leave their own note."""
    wishes = NginxWishes()
    found = dict(item.annotations(PREFIX))
    for name, value in found.items():
        take = _TAKES.get(name)
        if take is not None:
            take(wishes, value)
        elif name in _LOST:
            value.lost(*_LOST[name])
        elif name in _ASIDE:
            value.aside(_ASIDE[name])
        elif name in _SERVICE:
            continue
        elif name.startswith(_GUARDS):
            wishes.close(value, "Callers are checked here.", "Add an AuthPolicy, then give the rules their upstreams.")
    _finish_cors(wishes)
    _finish_limits(wishes, found, item)
    _finish_service(wishes, found, item)
    return wishes


def _snippet(wishes: NginxWishes, found: Field) -> None:
    remedy = "Say it in the Route by hand."
    if may_refuse(found):
        wishes.close(found, "Text of nginx's own language is not read, and this may refuse callers.", remedy)
    else:
        found.lost("Text of nginx's own language is not read.", remedy)


def _size(wishes: NginxWishes, found: Field) -> None:
    match = _SIZE.fullmatch(found.text())
    if match is None:
        found.lost("This is no size.", "Set admission.maxBodyBytes.")
        return
    size = int(match[1]) * _UNITS[match[2].lower()]
    if size > _MOST_BODY:
        found.changed("More than 1 GiB is no bound here: there is none.")
    elif size:
        wishes.admission["maxBodyBytes"] = size


def _address_list(which: str, wishes: NginxWishes, found: Field) -> None:
    wishes.allow(found, found.words(), which)


def _idle(wishes: NginxWishes, found: Field) -> None:
    seconds = found.number()
    if seconds <= 0:
        return
    before = wishes.body.get("timeout", {}).get("idle", "0s")
    idle = max(seconds, int(before.removesuffix("s")))
    wishes.body["timeout"] = {"request": "0s", "idle": f"{idle}s"}
    found.changed("One bound holds for silence in both directions: the longer of the two.")


def _connect(wishes: NginxWishes, found: Field) -> None:
    wishes.upstream["connectTimeout"] = f"{found.number() or 60}s"


def _protocol(wishes: NginxWishes, found: Field) -> None:
    match found.text().upper():
        case "HTTP" | "AUTO_HTTP":
            return
        case "GRPC":
            wishes.upstream["protocol"] = "GRPC"
        case other:
            remedy = "Serve clear text behind the proxy, or give the Upstream its own TLS settings."
            wishes.closed = True
            found.lost(f"{other} towards the backend is not imported; the rules answer 403 until then.", remedy)


def _host(wishes: NginxWishes, found: Field) -> None:
    wishes.body.setdefault("rewrite", {})["host"] = found.text()


def _redirect(status: int, wishes: NginxWishes, found: Field) -> None:
    text = found.text()
    if not text.startswith(("http://", "https://")):
        found.lost("Only a whole URL can be redirected to.", "Write the redirect by hand.")
        return
    redirect = _redirect_to(text)
    if redirect is None:
        wishes.close(found, "This redirect can't be said.", "Write it by hand: one URL, without variables.")
        return
    if "path" not in redirect:
        found.changed("The request's path and query are kept as they are.")
    elif "?" not in redirect["path"]:
        found.changed("The request's query is kept.")
    wishes.answer = {"redirect": {**redirect, "status": wishes.code or status}}


def _redirect_to(text: str) -> Document | None:
    """The URL in parts, without a path where that is the request's own; None where it can't be said."""
    kept = text.endswith("$request_uri")
    try:
        parts = urlsplit(text.removesuffix("$request_uri"))
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return None
    path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    if _HOST.fullmatch(host) is None or host.startswith("*") or "$" in path or (kept and path != "/"):
        return None
    where: Document = {"scheme": parts.scheme, "host": host, **({"port": port} if port is not None else {})}
    return where if kept else {**where, "path": path}


def _code(wishes: NginxWishes, found: Field) -> None:
    code = found.number()
    if code not in (301, 302, 303, 307, 308):
        found.lost("This is no status of a redirect here.", "Choose one of 301, 302, 303, 307, 308.")
        return
    wishes.code = code
    if wishes.answer is not None and "redirect" in wishes.answer:
        wishes.answer["redirect"]["status"] = code


def _affinity(wishes: NginxWishes, found: Field) -> None:
    if found.text() == "cookie":
        hash_on = wishes.upstream.get("loadBalancing", {}).get("hashOn", {"cookie": "INGRESSCOOKIE"})
        wishes.upstream["loadBalancing"] = {"policy": "RingHash", "hashOn": hash_on}
        found.changed("The cookie is hashed to an endpoint: when endpoints come and go some clients change theirs.")


def _cookie(wishes: NginxWishes, found: Field) -> None:
    name = found.text()
    wishes.upstream["loadBalancing"] = {"policy": "RingHash", "hashOn": {"cookie": name}}


def _balance(wishes: NginxWishes, found: Field) -> None:
    if found.text() == "ewma":
        wishes.upstream["loadBalancing"] = {"policy": "LeastRequest"}
        found.changed("The endpoint with fewest requests under way is chosen, not the one that answers fastest.")


def _hash_by(wishes: NginxWishes, found: Field) -> None:
    text = found.text()
    header = re.fullmatch(r"\$http_([a-z0-9_]+)", text)
    if text in ("$remote_addr", "$binary_remote_addr"):
        wishes.upstream["loadBalancing"] = {"policy": "RingHash", "hashOn": {"address": True}}
    elif header is not None:
        name = header[1].replace("_", "-")
        wishes.upstream["loadBalancing"] = {"policy": "RingHash", "hashOn": {"header": name}}
    else:
        found.lost("Only a header, a cookie or the address can be hashed.", "Choose one of them in the Upstream.")


def _set_regex(wishes: NginxWishes, found: Field) -> None:
    wishes.regex = found.flag()


def _set_target(wishes: NginxWishes, found: Field) -> None:
    wishes.target = found
    found.taken()


def _set_to_secured(wishes: NginxWishes, found: Field) -> None:
    wishes.to_secured = found.flag(default=True)


def _set_forced(wishes: NginxWishes, found: Field) -> None:
    wishes.forced = found.flag()


def _set_root(wishes: NginxWishes, found: Field) -> None:
    wishes.app_root = found.text()


def _set_aliases(wishes: NginxWishes, found: Field) -> None:
    names = [name.lower() for name in found.words()]
    wishes.aliases = [name for name in names if _HOST.fullmatch(name)]
    if others := [name for name in names if not _HOST.fullmatch(name)]:
        found.lost(
            f"{', '.join(others)} is no name of a host.", "Name each host in the Route, or `*.` and what follows."
        )


def _set_www(wishes: NginxWishes, found: Field) -> None:
    wishes.www = found.flag()


def _keep(part: str, name: str, wishes: NginxWishes, found: Field) -> None:
    getattr(wishes, part)[name] = found


def _finish_cors(wishes: NginxWishes) -> None:
    asked = wishes.cors
    enabled = "enable" in asked and asked["enable"].flag()
    if not enabled:
        for found in asked.values():
            found.aside("Cross-origin requests are not enabled.")
        return

    def words(name: str, default: str) -> list[str]:
        found = asked.get(name)
        return list(dict.fromkeys(found.words() if found is not None else default.split(",")))

    cors: Document = {
        "allowOrigins": words("origin", "*"),
        "allowMethods": [method.strip() for method in words("methods", _METHODS) if method.strip() != "*"],
        "allowHeaders": [name for name in words("headers", _HEADERS) if name != "*"],
        "maxAge": f"{asked['max-age'].number() if 'max-age' in asked else 1_728_000}s",
    }
    if "expose" in asked:
        cors["exposeHeaders"] = asked["expose"].words()
    credentials = "credentials" not in asked or asked["credentials"].flag()
    if credentials and "*" not in cors["allowOrigins"]:
        cors["allowCredentials"] = True
    elif credentials:
        asked["enable"].changed("Credentials are not granted to every origin: name the origins to grant them.")
    wishes.body["cors"] = cors


def _finish_service(wishes: NginxWishes, found: dict[str, Field], item: Item) -> None:
    asked = found.get("auth-url")
    if asked is None:
        return
    said = _SERVICE & found.keys()
    for name in said & {"auth-signin", "auth-signin-redirect-param", "auth-method", "auth-always-set-cookie"}:
        found[name].lost("Nobody is sent to a login, and cookies of the service go nowhere.", unsaid("external"))
    for name in said & {"auth-cache-key", "auth-cache-duration"}:
        found[name].changed("Answers are not kept: the service is asked about every request.")
    for name in (each for each in said if each.startswith("auth-keepalive")):
        found[name].aside("Connections to the service are kept.")
    answered = found.get("auth-response-headers")
    headers = Headers() if answered is None else Headers((), [(each, answered) for each in answered.words()])
    take_service(wishes, asked, f"{item.name}-auth", headers)


def _finish_limits(wishes: NginxWishes, found: dict[str, Field], item: Item) -> None:
    multiplier = found["limit-burst-multiplier"].number(5) if "limit-burst-multiplier" in found else 5
    for name, window in (("limit-rps", "1s"), ("limit-rpm", "1m")):
        requests = found[name].number() if name in found else 0
        if requests > 0:
            budget = {"requests": requests, "window": window, "burst": max(1, requests * max(multiplier, 1))}
            limit = PolicyName("RateLimit", f"{item.name}-{name}")
            wishes.policies.append((limit, {"key": [{"type": "Address"}], "budget": budget}))
            found[name].changed("429 is answered, not 503; each proxy counts by itself, as each nginx did.")


_TAKES: dict[str, Callable[[NginxWishes, Field], None]] = {
    "proxy-body-size": _size,
    "whitelist-source-range": partial(_address_list, "allowAddresses"),
    "allowlist-source-range": partial(_address_list, "allowAddresses"),
    "denylist-source-range": partial(_address_list, "denyAddresses"),
    "proxy-read-timeout": _idle,
    "proxy-send-timeout": _idle,
    "proxy-connect-timeout": _connect,
    "backend-protocol": _protocol,
    "upstream-vhost": _host,
    "permanent-redirect": partial(_redirect, 301),
    "temporal-redirect": partial(_redirect, 302),
    "permanent-redirect-code": _code,
    "temporal-redirect-code": _code,
    "affinity": _affinity,
    "session-cookie-name": _cookie,
    "load-balance": _balance,
    "upstream-hash-by": _hash_by,
    "use-regex": _set_regex,
    "rewrite-target": _set_target,
    "ssl-redirect": _set_to_secured,
    "force-ssl-redirect": _set_forced,
    "app-root": _set_root,
    "server-alias": _set_aliases,
    "from-to-www-redirect": _set_www,
    "canary": partial(_keep, "canary", "canary"),
    "canary-weight": partial(_keep, "canary", "weight"),
    "canary-weight-total": partial(_keep, "canary", "total"),
    "canary-by-header": partial(_keep, "canary", "header"),
    "canary-by-header-value": partial(_keep, "canary", "value"),
    "canary-by-header-pattern": partial(_keep, "canary", "pattern"),
    "canary-by-cookie": partial(_keep, "canary", "cookie"),
    "enable-cors": partial(_keep, "cors", "enable"),
    "cors-allow-origin": partial(_keep, "cors", "origin"),
    "cors-allow-methods": partial(_keep, "cors", "methods"),
    "cors-allow-headers": partial(_keep, "cors", "headers"),
    "cors-expose-headers": partial(_keep, "cors", "expose"),
    "cors-allow-credentials": partial(_keep, "cors", "credentials"),
    "cors-max-age": partial(_keep, "cors", "max-age"),
    "configuration-snippet": _snippet,
    "server-snippet": _snippet,
    "limit-rps": lambda _, found: found.taken(),
    "limit-rpm": lambda _, found: found.taken(),
    "limit-burst-multiplier": lambda _, found: found.taken(),
}
_SERVICE = {
    "auth-url",
    "auth-signin",
    "auth-signin-redirect-param",
    "auth-method",
    "auth-always-set-cookie",
    "auth-response-headers",
    "auth-cache-key",
    "auth-cache-duration",
    "auth-keepalive",
    "auth-keepalive-requests",
    "auth-keepalive-timeout",
    "auth-keepalive-share-vars",
}
"""Of a service that is asked; what else begins with auth- guards in ways of its own."""
_GUARDS = ("auth-", "enable-global-auth", "ssl-passthrough", "satisfy", "modsecurity", "enable-modsecurity")
_LOST = {
    "limit-connections": (
        "Connections of one client are not counted.",
        "Add a RateLimit with concurrency, by Address.",
    ),
    "limit-whitelist": ("A limit counts everybody.", "Leave the RateLimit off where it is not wanted."),
    "stream-snippet": ("Text of nginx's own language is not read.", "Say it in the Route by hand."),
    "default-backend": ("Requests without an endpoint are answered 503.", "Add endpoints elsewhere to the Upstream."),
    "custom-http-errors": ("Answers of upstreams go to clients as they are.", "Let the upstream answer for people."),
    "proxy-next-upstream": ("Retries are said in other words.", "Add `retry` to the rules that may be retried."),
    "proxy-next-upstream-tries": ("Retries are said in other words.", "Add `retry` to the rules."),
    "proxy-next-upstream-timeout": ("Retries are said in other words.", "Add `retry` to the rules."),
    "mirror-target": ("Copies of requests are not imported.", "Mirror by a Route, where it can."),
    "x-forwarded-prefix": ("No header tells the prefix that was taken away.", "Set it by requestHeaders."),
    "custom-headers": ("The ConfigMap is not read.", "Write its headers into responseHeaders."),
    "session-cookie-path": ("The cookie is for the whole host.", "Nothing, where one cookie for the host will do."),
    "session-cookie-expires": ("The cookie lasts an hour.", "Nothing, where an hour will do."),
    "session-cookie-max-age": ("The cookie lasts an hour.", "Nothing, where an hour will do."),
}
_ASIDE = {
    "proxy-buffering": "Answers are streamed.",
    "proxy-request-buffering": "Requests are streamed.",
    "proxy-buffer-size": "Buffers are the proxy's own business.",
    "proxy-buffers-number": "Buffers are the proxy's own business.",
    "proxy-max-temp-file-size": "Nothing is written to disk.",
    "proxy-http-version": "Upstreams get HTTP/1.1, or what their protocol says.",
    "enable-access-log": "Access logs are a setting of the Edge.",
    "service-upstream": "Endpoints are balanced directly; the Service's own address is not used.",
    "preserve-trailing-slash": "Redirects keep the path as it is.",
}
