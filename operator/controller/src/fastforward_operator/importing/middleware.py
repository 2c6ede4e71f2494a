"""Traefik's Middlewares to what they want done with a rule.

In: references to Middlewares. Out: Wishes, notes on their fields. Called by ingressroute and ingress. A middleware that
guards and has no equivalent closes the rule. Source:
https://doc.traefik.io/traefik/reference/routing-configuration/http/middlewares/overview/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .draft import Context, Document, PolicyName
from .external import Headers, take_service, unsaid
from .headers import take_headers
from .reading import Field, Item
from .wishes import Rewrite, Wishes

_DOLLAR = re.compile(r"\$(?:\{(\d)\}|(\d))")
_DURATION = re.compile(r"([0-9]{1,5}(h|m|s|ms)){1,4}")
_DEEPEST = 8


@dataclass(frozen=True, slots=True)
class MiddlewareRef:
    """A Middleware by name, and where it is named."""

    namespace: str
    name: str
    place: Field

    @classmethod
    def of_annotation(cls, text: str, place: Field) -> MiddlewareRef:
        """NAMESPACE-NAME@kubernetescrd; names have no other mark between the two, so it is looked up by `context`."""
        return cls("", text.removesuffix("@kubernetescrd"), place)


def apply_middlewares(context: Context, refs: Iterable[MiddlewareRef], wishes: Wishes, depth: int = 0) -> None:
    """What all of them want, in their order."""
    for ref in refs:
        item = _find(context, ref)
        if item is None or depth > _DEEPEST:
            name = f"{ref.namespace}/{ref.name}" if ref.namespace else ref.name
            wishes.close(ref.place, f"Middleware {name} is not in the input.", "Import it together with this.")
            continue
        for kind, found in item.spec.parts():
            _apply(context, item, kind, found, wishes, depth)


def _find(context: Context, ref: MiddlewareRef) -> Item | None:
    if ref.namespace:
        return context.find("Middleware", ref.namespace, ref.name)
    middlewares = (item for (kind, _, _), item in context.items.items() if kind == "Middleware")
    return next((item for item in middlewares if f"{item.namespace}-{item.name}" == ref.name), None)


def _apply(context: Context, item: Item, kind: str, found: Field, wishes: Wishes, depth: int) -> None:
    if kind == "chain":
        refs = [
            MiddlewareRef(each["namespace"].text(item.namespace), each["name"].text(), each["name"])
            for each in found["middlewares"].each()
        ]
        apply_middlewares(context, refs, wishes, depth + 1)
    elif kind in _TAKES:
        if not found.raw:
            found.taken()
        _TAKES[kind](wishes, found, item)
    elif kind in _LOST:
        found.lost(*_LOST[kind])
    else:
        guards = "Callers are checked here." if kind in _GUARDS else f"What {kind} does is not known to the import."
        wishes.close(found, guards, "Add an AuthPolicy or what else fits, then give the rules their upstreams.")


def _add_prefix(wishes: Wishes, found: Field, _: Item) -> None:
    prefix = "/" + found["prefix"].text().strip("/")
    wishes.rewrites.append(Rewrite(found["prefix"], pattern="^/", substitution=f"{prefix}/"))


def _strip_prefix(wishes: Wishes, found: Field, _: Item) -> None:
    prefixes = tuple(found["prefixes"].texts())
    wishes.rewrites.append(Rewrite(found["prefixes"], strip=prefixes))
    found["forceSlash"].aside("A path begins with a slash.")
    if len(prefixes) == 1:
        wishes.change_header("requestHeaders", "set", "x-forwarded-prefix", prefixes[0])
    else:
        found["prefixes"].changed("X-Forwarded-Prefix is not told: it could be any one of them.")


def _strip_regex(wishes: Wishes, found: Field, _: Item) -> None:
    patterns = found["regex"].texts()
    found["regex"].changed("X-Forwarded-Prefix is not told.")
    wishes.rewrites.append(
        Rewrite(
            found["regex"], pattern=f"^(?:{'|'.join(each.removeprefix('^') for each in patterns)})/*", substitution="/"
        )
    )


def _replace_path(wishes: Wishes, found: Field, _: Item) -> None:
    path = found["path"].text()
    found["path"].changed("X-Replaced-Path is not told.")
    wishes.rewrites.append(Rewrite(found["path"], path=path if path.startswith("/") else f"/{path}"))


def _replace_regex(wishes: Wishes, found: Field, _: Item) -> None:
    pattern = found["regex"].text()
    substitution = _DOLLAR.sub(lambda match: f"\\{match[1] or match[2]}", found["replacement"].text())
    found["regex"].changed("X-Replaced-Path is not told.")
    wishes.rewrites.append(Rewrite(found["regex"], pattern=pattern, substitution=substitution))


def _redirect_scheme(wishes: Wishes, found: Field, _: Item) -> None:
    permanent = found["permanent"].flag()
    redirect: Document = {"scheme": found["scheme"].text("https"), "status": 308 if permanent else 307}
    if found["port"] and found["port"].number() not in (0, 443):
        redirect["port"] = found["port"].number()
    before = "301 to GET and 308" if permanent else "302 to GET and 307"
    found["scheme"].changed(f"The status is {redirect['status']} for all methods; it was {before} to others.")
    if redirect["scheme"] == "https":
        wishes.to_https = redirect
    else:
        wishes.answer = {"redirect": redirect}


def _allow(wishes: Wishes, found: Field, _: Item) -> None:
    wishes.allow(found["sourceRange"], found["sourceRange"].texts())
    found["rejectStatusCode"].changed("The status is 403.")
    _strategy(found["ipStrategy"])


def _strategy(strategy: Field) -> None:
    message = "The client's address is what the Edge's trustedHops say."
    for part in ("depth", "excludedIPs", "ipv6Subnet"):
        strategy[part].changed(message, "Set trustedHops.count to the number of proxies in front.")
    if strategy.raw == {}:
        strategy.changed(message)


def _rate_limit(wishes: Wishes, found: Field, item: Item) -> None:
    average, burst = found["average"].number(), max(found["burst"].number(1), 1)
    window = _period(found["period"])
    if average <= 0:
        found["average"].aside("Zero is no limit.")
        for part in ("burst", "period"):
            found[part].aside("There is no limit.")
        return
    key = _counted_by(found["sourceCriterion"]) or [{"type": "Address"}]
    found["redis"].changed(
        "Each proxy counts by itself.", "Set enforcement: Exact, and give the decision service Redis."
    )
    budget: Document = {"requests": average, "window": window, "burst": burst}
    limit = PolicyName("RateLimit", item.name)
    wishes.policies.append((limit, {"key": [*key, {"type": "Endpoint"}], "budget": budget}))


def _counted_by(criterion: Field) -> list[Document]:
    """Returns what requests are told apart by; nothing where that is not said."""
    _strategy(criterion["ipStrategy"])
    criterion["requestHost"].changed("Hosts are not counted apart.", "Aim a RateLimit of its own at each host.")
    if criterion["requestHeaderName"]:
        return [{"type": "Header", "header": criterion["requestHeaderName"].text()}]
    return [{"type": "Address"}] if criterion["ipStrategy"].raw is not None else []


def _in_flight(wishes: Wishes, found: Field, item: Item) -> None:
    amount, key = found["amount"].number(), _counted_by(found["sourceCriterion"])
    if amount <= 0:
        found["amount"].lost("This is no bound.", "Add a RateLimit with concurrency.")
        return
    found["amount"].changed(
        "They are counted over all proxies, for each rule.", "The decision service needs Redis, if there are several."
    )
    spec: Document = {"key": [*key, {"type": "Endpoint"}], "budget": {"requests": amount}}
    spec |= {"concurrency": {}, "enforcement": "Exact"}
    wishes.policies.append((PolicyName("RateLimit", item.name), spec))


def _period(found: Field) -> str:
    text = found.text("1s")
    if text.isdigit():
        return f"{text}s"
    if _DURATION.fullmatch(text):
        return text
    found.changed("The window is 1s: only h, m, s and ms with whole numbers are understood.")
    return "1s"


def _retry(wishes: Wishes, found: Field, _: Item) -> None:
    attempts = found["attempts"].number(1)
    if attempts > 1:
        retry: Document = {"attempts": min(attempts - 1, 10), "retryOn": ["connect-failure", "reset"]}
        if found["initialInterval"]:
            retry["backoff"] = _period(found["initialInterval"])
        wishes.body["retry"] = retry
        message = "It is how often is tried again here, and was how often is tried; the retry budget bounds all."
        found["attempts"].changed(message)
    else:
        found["initialInterval"].aside("Nothing is tried again.")
    for part in ("timeout", "maxRequestBodyBytes", "disableRetryOnNetworkError", "retryNonIdempotentMethod", "status"):
        found[part].lost("Connections that fail are retried, nothing else.", "Choose the conditions in retryOn.")


def _buffering(wishes: Wishes, found: Field, _: Item) -> None:
    most = found["maxRequestBodyBytes"].number()
    if most:
        wishes.admission["maxBodyBytes"] = most
    message = "Bodies are streamed, never kept whole."
    for part in ("memRequestBodyBytes", "memResponseBodyBytes"):
        found[part].aside(message)
    found["maxResponseBodyBytes"].lost("Answers have no bound.", "Let the upstream keep them short.")
    found["retryExpression"].lost("Retries are said in other words.", "Add `retry` to the rule.")


_UNTOLD = (
    "authResponseHeadersRegex",
    "addAuthCookiesToResponse",
    "authSigninURL",
    "headerField",
    "preserveLocationHeader",
)


def _forward_auth(wishes: Wishes, found: Field, item: Item) -> None:
    for part in ("tls", "forwardBody"):
        if found[part].raw not in (None, {}, False):
            wishes.close(found[part], "The service is asked in clear text, and not sent bodies.", unsaid("external"))
    sent = found["authRequestHeaders"].texts()
    if not sent:
        found["address"].changed("It is sent `authorization` and `cookie`, not every header.", unsaid("requestHeaders"))
    for part in _UNTOLD:
        found[part].lost("Only headers that are named go on to the upstream.", unsaid("answerHeaders"))
    for part in ("trustForwardHeader", "maxBodySize", "maxResponseBodySize", "preserveRequestMethod"):
        found[part].aside("The service is told method and address as the gateway knows them.")
    answered = [(each.text(), each) for each in found["authResponseHeaders"].each()]
    take_service(wishes, found["address"], item.name, Headers(sent, answered))


def _content_type(_: Wishes, found: Field, __: Item) -> None:
    found["autoDetect"].lost("No Content-Type is guessed.", "Let the upstream say it.")


def _headers(wishes: Wishes, found: Field, _: Item) -> None:
    take_headers(wishes, found)


_TAKES: dict[str, Callable[[Wishes, Field, Item], None]] = {
    "addPrefix": _add_prefix,
    "stripPrefix": _strip_prefix,
    "stripPrefixRegex": _strip_regex,
    "replacePath": _replace_path,
    "replacePathRegex": _replace_regex,
    "redirectScheme": _redirect_scheme,
    "ipAllowList": _allow,
    "ipWhiteList": _allow,
    "rateLimit": _rate_limit,
    "retry": _retry,
    "buffering": _buffering,
    "forwardAuth": _forward_auth,
    "inFlightReq": _in_flight,
    "contentType": _content_type,
    "headers": _headers,
}
_GUARDS = frozenset({"basicAuth", "digestAuth", "passTLSClientCert"})
_LOST = {
    "compress": ("A rule does not compress.", "Set compression of the Edge."),
    "circuitBreaker": ("No expression over answers opens a circuit.", "Set outlierDetection in the Upstream."),
    "errors": ("Answers of upstreams go to clients as they are.", "Let the upstream answer for people."),
    "grpcWeb": ("A rule does not translate gRPC-Web.", "Set grpc.web of the Edge."),
    "redirectRegex": ("No expression over whole URLs redirects.", "Write the redirects as rules of a Route."),
}
