"""Filters, backends, time-outs and retries of Gateway API's rules.

In: their fields. Out: `Filtered`. Called by httproute. A filter that can't be done leaves the rule with 500, as it
would where it stands: half of what it says would be something else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from fastforward_crds import GROUP as OURS
from fastforward_crds import milliseconds

from .backendtls import policy_of, take_policy
from .backendtraffic import take_traffic, traffic_policy_of
from .draft import Context, Document, service_spec
from .gateway import is_granted
from .headers import is_own
from .reading import Field, Item

_UNAVAILABLE = {"respond": {"status": 500}}
_GATEWAY_ERRORS = frozenset({502, 503, 504})
MOST_MIRRORS = 4
TOO_MANY = ("A rule has four mirrors at most.", "Copy from one Upstream to the next.")
_BY_HAND = "Say it in the Route by hand."


@dataclass(slots=True)
class Filtered:
    """A rule but for its matches."""

    body: Document = field(default_factory=dict)
    redirect: Document | None = None
    refused: bool = False
    needs_prefix: bool = False

    def refuse(self, found: Field, message: str, remedy: str) -> None:
        """The rule answers 500."""
        self.refused = True
        found.lost(f"{message} The rule answers 500.", remedy)


def take_filters(context: Context, item: Item, filters: Field) -> Filtered:
    """What the filters of a rule want."""
    made = Filtered()
    for each in filters.each():
        kind = each["type"].text()
        take = _TAKES.get(kind)
        if kind == "RequestMirror":
            _take_mirror(context, item, each["requestMirror"], made)
        elif take is None:
            made.refuse(each, f"A filter of type {kind} is not imported.", _BY_HAND)
        else:
            take(made, each)
    return made


def _request_headers(made: Filtered, each: Field) -> None:
    made.body["requestHeaders"] = _changes(each["requestHeaderModifier"])


def _response_headers(made: Filtered, each: Field) -> None:
    made.body["responseHeaders"] = _changes(each["responseHeaderModifier"])


def _changes(found: Field) -> Document:
    changes: Document = {}
    for action in ("set", "add"):
        for header in found[action].each():
            name, value = header["name"].text().lower(), header["value"].text()
            if is_own(name) or "_" in name:
                header["name"].lost("This header belongs to the gateway, or has an underscore.", "Choose another name.")
            else:
                changes.setdefault(action, []).append({"name": name, "value": value})
    removed = [name.lower() for name in found["remove"].texts()]
    if own := [name for name in removed if is_own(name) or "_" in name]:
        found["remove"].lost(f"{', '.join(own)}: the gateway's own, or with an underscore.", "Leave them away.")
    if kept := list(dict.fromkeys(name for name in removed if name not in own)):
        changes["remove"] = kept
    return changes


def _rewrite(made: Filtered, each: Field) -> None:
    found = each["urlRewrite"]
    rewrite: Document = {}
    if found["hostname"]:
        rewrite["host"] = found["hostname"].text()
    path = found["path"]
    match path["type"].text():
        case "ReplaceFullPath":
            rewrite["replacePath"] = path["replaceFullPath"].text("/") or "/"
        case "ReplacePrefixMatch":
            rewrite["replacePrefix"] = path["replacePrefixMatch"].text("/") or "/"
            made.needs_prefix = True
    for value in (rewrite.get("replacePath"), rewrite.get("replacePrefix")):
        if value is not None and not value.startswith("/"):
            made.refuse(path, "A path starts with /.", "Write it so.")
    made.body["rewrite"] = rewrite


def _redirect(made: Filtered, each: Field) -> None:
    found = each["requestRedirect"]
    redirect: Document = {"status": found["statusCode"].number() if found["statusCode"] else 302}
    for theirs, ours in (("scheme", "scheme"), ("hostname", "host")):
        if found[theirs]:
            redirect[ours] = found[theirs].text()
    if found["port"]:
        redirect["port"] = found["port"].number()
        usual = {"http": 80, "https": 443}.get(str(redirect.get("scheme")))
        if redirect["port"] == usual:
            del redirect["port"]
    kind = found["path"]["type"].text()
    if kind == "ReplaceFullPath":
        redirect["path"] = found["path"]["replaceFullPath"].text("/") or "/"
    elif kind:
        made.refuse(found["path"], "A redirect can't replace a prefix.", "Name the whole path, in a rule for each.")
        return
    made.redirect = redirect


def _cors(made: Filtered, each: Field) -> None:
    found = each["cors"]
    origins = found["allowOrigins"].texts()
    credentials = bool(found["allowCredentials"]) and found["allowCredentials"].flag()
    methods, headers = found["allowMethods"].texts(), [name.lower() for name in found["allowHeaders"].texts()]
    if "*" in methods:
        found["allowMethods"].changed("All methods that HTTP itself has are granted.")
        methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    if "*" in headers:
        found["allowHeaders"].lost("Headers are granted one by one.", "List those that scripts use.")
    cors: Document = {"allowOrigins": origins, "maxAge": f"{found['maxAge'].number(5) if found['maxAge'] else 5}s"}
    if methods:
        cors["allowMethods"] = methods
    cors["allowHeaders"] = [name for name in headers if name != "*"]
    cors["exposeHeaders"] = [name.lower() for name in found["exposeHeaders"].texts() if name != "*"]
    if credentials and "*" in origins:
        found["allowCredentials"].lost("Credentials are not granted to every origin.", "Name the origins.")
    elif credentials:
        cors["allowCredentials"] = True
    if origins:
        made.body["cors"] = {name: value for name, value in cors.items() if value != []}


_TAKES: dict[str, Callable[[Filtered, Field], None]] = {
    "RequestHeaderModifier": _request_headers,
    "ResponseHeaderModifier": _response_headers,
    "URLRewrite": _rewrite,
    "RequestRedirect": _redirect,
    "CORS": _cors,
}


def take_backends(context: Context, item: Item, refs: Field, made: Filtered, session: Document) -> None:
    """The destination: where requests go, or what they are answered. `session` keeps clients, unless it is empty."""
    weights: dict[str, tuple[Document, int]] = {}
    lost = 0
    for ref in refs.each():
        weight = ref["weight"].number() if ref["weight"] else 1
        ref["filters"].lost("Nothing is done for one backend alone.", "Do it for the whole rule.")
        share = _share(context, item, ref, session)
        if share is None:
            lost += weight
        else:
            key = f"{share.get('namespace')}/{share['name']}"
            weights[key] = (share, weights.get(key, (share, 0))[1] + weight)
    shares = [{**share, "weight": weight} for share, weight in weights.values() if weight]
    if lost and shares:
        refs.changed("Shares of backends that can't be used go to the others; where it stood they were answered 500.")
    if made.redirect is not None and not made.refused and not refs.raw:
        _answer(made, {"redirect": made.redirect})
    elif made.refused or not shares or made.redirect is not None:
        made.redirect = None
        _answer(made, _UNAVAILABLE)
    else:
        made.body["upstreams"] = shares if len(shares) > 1 else [{**shares[0], "weight": 1}]
        for share in made.body["upstreams"]:
            if share["weight"] == 1:
                del share["weight"]


def _answer(made: Filtered, answer: Document) -> None:
    kept = {name: value for name, value in made.body.items() if name == "responseHeaders" and not made.refused}
    made.body = {**kept, **answer}


def _take_mirror(context: Context, item: Item, found: Field, made: Filtered) -> None:
    share, percent = (
        _share(context, item, found["backendRef"], {}),
        found["percent"].number(100) if found["percent"] else 100,
    )
    fraction = found["fraction"]
    if fraction:
        denominator = fraction["denominator"].number(100) if fraction["denominator"] else 100
        exact = 100 * fraction["numerator"].number() / max(denominator, 1)
        percent = round(exact)
        if percent != exact:
            fraction["numerator"].changed("The share is told in whole percent.")
    mirrors = made.body.get("mirrors", [])
    if len(mirrors) == MOST_MIRRORS:
        found.lost(*TOO_MANY)
    elif share is not None and percent > 0:
        made.body["mirrors"] = [*mirrors, {**share, "percent": min(percent, 100)}]


def _share(context: Context, item: Item, ref: Field, session: Document) -> Document | None:
    group, kind = ref["group"].text(), ref["kind"].text("Service")
    name, namespace = ref["name"].text(), ref["namespace"].text(item.namespace)
    port = ref["port"].number()
    if (group, kind) not in (("", "Service"), (OURS, "Upstream")):
        ref["kind"].lost(f"{kind} is no kind of backend here: its share is answered 500.", "Make it an Upstream.")
        return None
    if namespace != item.namespace and not is_granted(context, item, (kind, namespace, name)):
        ref["namespace"].lost("No ReferenceGrant there permits it.", "Add one, and import again.")
        return None
    if kind == "Upstream":
        ref["port"].aside("An Upstream has its ports.")
        if session:
            ref["kind"].changed("An Upstream keeps clients as it says itself.", "Set its sessionAffinity.")
        context.draft.permit(("Route", item.namespace), "Upstream", namespace, name)
        return {"name": name, **({"namespace": namespace} if namespace != item.namespace else {})}
    if not port:
        ref["name"].lost("A Service needs a port: its share is answered 500.", "Add the port.")
        return None
    return _service(context, item, ref, (namespace, name, port), session)


def _service(
    context: Context, item: Item, ref: Field, service: tuple[str, str, int], session: Document
) -> Document | None:
    """The Upstream of a Service, by its namespace, name and port, with what policies say of it."""
    namespace, name, port = service
    spec = service_spec(item.namespace, name, port, namespace)
    label = f"{name}-{port}"
    if item.kind == "GRPCRoute":
        spec, label = {**spec, "protocol": "GRPC"}, f"{label}-grpc"
    policy = policy_of(context, namespace, name)
    if policy is not None:
        tls = take_policy(context, policy, item.namespace)
        if tls is None:
            remedy = "Look at what is said of the policy, and write an Upstream."
            ref["name"].lost(f"Not all of {policy.label} can be kept: its share is answered 500.", remedy)
            return None
        spec, label = {**spec, "tls": tls}, f"{label}-tls"
    traffic = traffic_policy_of(context, namespace, name)
    if traffic is not None:
        spec |= take_traffic(traffic)
    if session:
        # The rule's own comes before the policy's.
        spec, label = {**spec, "sessionAffinity": session}, f"{label}-session"
    return {"name": context.draft.upstream(item.namespace, label, spec, item.label)}


def take_patience(rule: Field, made: Filtered) -> None:
    """Time-outs and retries."""
    whole, each_try = (rule["timeouts"][name] for name in ("request", "backendRequest"))
    texts = {name: found.text() for name, found in (("request", whole), ("try", each_try)) if found}
    retry = _retry(rule["retry"]) if rule["retry"] else None
    if "upstreams" not in made.body:
        return
    if retry is not None:
        if "try" in texts and milliseconds(texts["try"]):
            retry["perTryTimeout"] = texts["try"]
        made.body["retry"] = retry
        if texts:
            made.body["timeout"] = {"request": texts.get("request", "0s")}
    elif texts:
        bounds = [text for text in texts.values() if milliseconds(text)]
        made.body["timeout"] = {"request": min(bounds, key=milliseconds) if bounds else "0s"}


def _retry(found: Field) -> Document | None:
    codes = {code.number() for code in found["codes"].each()}
    attempts = found["attempts"].number() if found["attempts"] else 1
    on = ["connect-failure", "refused-stream", "reset"]
    if codes & _GATEWAY_ERRORS:
        on.append("gateway-error")
    if 409 in codes:
        on.append("retriable-4xx")
    if codes - _GATEWAY_ERRORS - {409} or (codes & _GATEWAY_ERRORS and not codes >= _GATEWAY_ERRORS):
        found["codes"].changed("Only 502, 503 and 504 together, and 409, can be retried by status.")
    if attempts > 10:
        found["attempts"].changed("It is tried again ten times at most.")
    retry: Document = {"attempts": min(attempts, 10), "retryOn": on}
    if found["backoff"]:
        retry["backoff"] = found["backoff"].text()
    if found.raw == {}:
        found.taken()
    return retry if attempts else None
