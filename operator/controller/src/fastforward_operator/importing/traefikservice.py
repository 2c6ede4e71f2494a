"""Services of an IngressRoute, and TraefikServices, to Upstreams and shares.

In: the list `services`. Out: the destination of a rule. Called by ingressroute.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .draft import Context, Document, service_spec
from .filters import MOST_MIRRORS, TOO_MANY
from .reading import Field, Item

_DEEPEST = 8
_SCHEMES = {"": None, "http": None, "h2c": "HTTP2"}
_UNAVAILABLE = {"respond": {"status": 503}}


@dataclass(slots=True)
class Destination:
    """Where a rule leads."""

    body: Document = field(default_factory=dict)
    closed: bool = False


@dataclass(slots=True)
class _Shares:
    """Upstreams with their weights, as they are found."""

    context: Context
    item: Item
    """Whose rule it is: the Upstreams are in its namespace."""
    listed: dict[str, int] = field(default_factory=dict)
    closed: bool = False
    """Whether something may guard one of them alone."""
    mirrors: list[Document] = field(default_factory=list)


def translate_services(context: Context, item: Item, services: list[Field]) -> Destination:
    """The destination that the services are together."""
    shares = _Shares(context, item)
    _take(shares, item, services, 1, 0)
    if not shares.listed:
        return Destination(dict(_UNAVAILABLE))
    if shares.closed:
        return Destination(dict(_UNAVAILABLE), closed=True)
    single = len(shares.listed) == 1
    upstreams = [
        {"name": name, **({} if single else {"weight": weight})} for name, weight in shares.listed.items() if weight
    ]
    if not upstreams:
        return Destination(dict(_UNAVAILABLE))
    return Destination({**({"mirrors": shares.mirrors} if shares.mirrors else {}), "upstreams": upstreams})


def _take(shares: _Shares, owner: Item, services: list[Field], factor: int, depth: int) -> None:
    for service in services:
        shares.closed |= bool(service["middlewares"].raw)
        weight = service["weight"].number(1) if service["weight"] else 1
        namespace = service["namespace"].text(owner.namespace)
        name, kind = service["name"].text(), service["kind"].text("Service")
        if kind == "TraefikService" and depth < _DEEPEST:
            _take_traefik(shares, service, (namespace, name), factor * weight, depth)
        else:
            _take_service(shares, service, (namespace, name), factor * weight)


def _take_traefik(shares: _Shares, place: Field, name: tuple[str, str], factor: int, depth: int) -> None:
    found = shares.context.find("TraefikService", *name)
    if found is None:
        place["name"].lost(f"TraefikService {'/'.join(name)} is not in the input.", "Import it together with this.")
        return
    spec = found.spec
    weighted, mirroring = spec["weighted"], spec["mirroring"]
    if weighted:
        _take(shares, found, weighted["services"].each(), factor, depth + 1)
        _no_cookie(weighted["sticky"])
    if mirroring:
        # The mirrored service is written into `mirroring` itself.
        _take(shares, found, [mirroring], factor, depth + 1)
        for copy in mirroring["mirrors"].each():
            _take_mirror(shares, found, copy)
        mirroring["maxBodySize"].lost("Bodies of any size are copied.", "Bound them by admission.maxBodyBytes.")
        mirroring["mirrorBody"].taken()
        if mirroring["mirrorBody"].raw is False:
            mirroring["mirrorBody"].changed("Copies have the body as well.")
    spec["highestRandomWeight"].lost(
        "Clients are not hashed to Services.", "Hash to endpoints: loadBalancing RingHash."
    )
    spec["failover"].lost("There is no second choice of a Service.", "Put the endpoints of both behind one Upstream.")


def _take_mirror(shares: _Shares, owner: Item, copy: Field) -> None:
    percent = copy["percent"].number() if copy["percent"] else 0
    # Shares of its own, for it is no destination.
    own = _Shares(shares.context, shares.item)
    _take(own, owner, [copy], 1, _DEEPEST)
    if len(shares.mirrors) == MOST_MIRRORS:
        copy.lost(*TOO_MANY)
    elif percent > 0:
        shares.mirrors += [{"name": name, "percent": min(percent, 100)} for name in own.listed]


def _no_cookie(sticky: Field) -> None:
    sticky.lost("No cookie keeps a client with one Upstream of several.", "Hash to endpoints inside an Upstream.")


def _take_service(shares: _Shares, service: Field, name: tuple[str, str], weight: int) -> None:
    namespace, own = name[0], shares.item.namespace
    port = service["port"].raw
    number: int | str = service["port"].number() if isinstance(port, int) else service["port"].text()
    if isinstance(number, str) and number.isascii() and number.isdecimal():
        number = int(number)
    if not number:
        service["name"].lost("A Service is named with its port.", "Add the port.")
        return
    spec = {**service_spec(own, name[1], number, namespace), **_settings(service)}
    if not _speaks(service, spec):
        return
    made = shares.context.draft.upstream(own, f"{name[1]}-{number}", spec, shares.item.label)
    shares.listed[made] = shares.listed.get(made, 0) + weight


def _speaks(service: Field, spec: Document) -> bool:
    """Whether the scheme towards the endpoints is one that is imported."""
    scheme = service["scheme"].text()
    if scheme not in _SCHEMES:
        remedy = "Serve clear text behind the proxy, or give an Upstream its own TLS settings."
        service["scheme"].lost(f"{scheme} towards the backend is not imported: it gets no requests.", remedy)
        return False
    protocol = _SCHEMES[scheme]
    if protocol is not None:
        spec["protocol"] = protocol
    return True


def _settings(service: Field) -> Document:
    spec: Document = {}
    cookie = service["sticky"]["cookie"]
    if cookie:
        spec["loadBalancing"] = {"policy": "RingHash", "hashOn": {"cookie": cookie["name"].text("_ff_sticky")}}
        message = "The cookie is hashed to an endpoint: when endpoints come and go some clients change theirs."
        cookie["name"].changed(message)
        if cookie.raw == {}:
            cookie.changed(message)
        for part in ("secure", "httpOnly", "sameSite", "maxAge", "path", "domain"):
            cookie[part].lost("The cookie lasts an hour, for the whole host.", "Nothing, where that will do.")
    if service["sticky"].raw == {}:
        service["sticky"].aside("It says nothing.")
    _balance(service, spec)
    _check_health(service["healthCheck"], spec)
    service["passHostHeader"].taken()
    if service["passHostHeader"].raw is False:
        remedy = "Set rewrite.host in the rule."
        service["passHostHeader"].lost("The backend gets the host that the client asked for.", remedy)
    service["responseForwarding"].aside("Answers are streamed.")
    service["serversTransport"].lost("Settings of connections are not imported.", "Look at the Upstream's own.")
    for each in service["middlewares"].each():
        each.lost("Nothing is done for one backend alone: the rule answers 403.", "Do it for the whole rule.")
    service["passiveHealthCheck"].lost("It is said in other words.", "Set outlierDetection in the Upstream.")
    service["nativeLB"].changed("Endpoints are balanced directly; the Service's own address is not used.")
    service["nodePortLB"].changed("Endpoints are balanced directly; ports of nodes are not used.")
    return spec


def _balance(service: Field, spec: Document) -> None:
    strategy = service["strategy"].text().lower()
    if strategy in ("p2c", "leasttime"):
        spec["loadBalancing"] = {"policy": "LeastRequest"}
        if strategy == "leasttime":
            service["strategy"].changed("The endpoint with fewest requests under way is chosen.")
    elif strategy == "hrw":
        spec["loadBalancing"] = {"policy": "RingHash", "hashOn": {"address": True}}
        service["strategy"].changed("The client's address is hashed to a ring.")


def _check_health(check: Field, spec: Document) -> None:
    if not check:
        return
    made: Document = {"path": check["path"].text("/")}
    for name in ("interval", "timeout"):
        text = check[name].text()
        if text:
            made[name] = f"{text}s" if text.isdigit() else text
    spec["healthCheck"] = made
    for part in ("scheme", "mode", "hostname", "port", "headers", "followRedirects", "method", "status"):
        check[part].lost("A check is a GET of the path, to the endpoint itself.", "Let the path answer 200 to it.")
    check["unhealthyInterval"].aside("The interval is the same in both states.")
