"""Certificates and TLS settings of listeners.

In: references to Secrets, TLSOptions. Out: the HTTPS listener of an Edge. Called by ingress, ingressroute and gateway.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .draft import HTTPS, Context, Document, EdgeKey
from .reading import Field, Item

_VERSIONS = {"VersionTLS10": "1.2", "VersionTLS11": "1.2", "VersionTLS12": "1.2", "VersionTLS13": "1.3"}


def add_certificate(context: Context, key: EdgeKey, namespace: str, secret: Field, item: Item) -> None:
    """Add the Secret to the certificates of the Edge's HTTPS listener; without one the listener alone."""
    edge = context.draft.edge(key)
    listener = edge.listen(HTTPS, 443, secure=True)
    edge.sources[item.label] = None
    if secret:
        refer(context, key, listener, namespace, secret.text())


def refer(context: Context, key: EdgeKey, listener: Document, namespace: str, secret: str) -> None:
    """One certificate more for a listener."""
    ref: Document = {"name": secret, **({"namespace": namespace} if namespace != key.namespace else {})}
    if ref not in listener["tls"]["certificates"]:
        listener["tls"]["certificates"].append(ref)
    context.draft.permit(("Edge", key.namespace), "Secret", namespace, secret)


def take_options(context: Context, key: EdgeKey, ref: Field, namespace: str) -> bool:
    """Settings of a TLSOption for the Edge's HTTPS listener; returns whether one of them kept callers out."""
    if not ref:
        return take_default_options(context, key)
    own = ref["namespace"].text(namespace) if ref["namespace"] else namespace
    name = ref["name"].text()
    option = context.find("TLSOption", own, name)
    if option is None:
        ref["name"].lost(f"TLSOption {own}/{name} is not in the input.", "Import it together with this.")
        return True
    return _take_option(context, key, option)


def take_annotated_option(context: Context, key: EdgeKey, found: Field) -> bool:
    """The same for an annotation, NAMESPACE-NAME@kubernetescrd; all that may be meant by the name count."""
    name = found.text().removesuffix("@kubernetescrd")
    if name == "default":
        return take_default_options(context, key)
    options = [option for option in _options(context) if f"{option.namespace}-{option.name}" == name]
    if not options:
        message = f"TLSOption {name} is not in the input: it may check clients, so the rules answer 403."
        found.lost(message, "Import it together with this.")
        return True
    return _keep_out(context, key, options)


def take_default_options(context: Context, key: EdgeKey) -> bool:
    """The same for who names none: the TLSOption called `default` holds there, of whatever namespace."""
    return _keep_out(context, key, (option for option in _options(context) if option.name == "default"))


def _options(context: Context) -> Iterator[Item]:
    return (item for (kind, _, _), item in context.items.items() if kind == "TLSOption")


def _keep_out(context: Context, key: EdgeKey, options: Iterable[Item]) -> bool:
    taken = [_take_option(context, key, option) for option in options]
    return any(taken)


def _take_option(context: Context, key: EdgeKey, option: Item) -> bool:
    version = option.spec["minVersion"].text("VersionTLS12")
    if _VERSIONS.get(version) == "1.3":
        listener = context.draft.edge(key).listen(HTTPS, 443, secure=True)
        listener["tls"]["minVersion"] = "1.3"
        option.spec["minVersion"].changed("It holds for all hosts of the Edge's HTTPS listener.")
    return bool(option.spec["clientAuth"])


def note_option(item: Item) -> None:
    """What a TLSOption says that no listener can be told."""
    spec = item.spec
    if spec["minVersion"].text("VersionTLS12") in ("VersionTLS10", "VersionTLS11"):
        spec["minVersion"].changed("TLS 1.2 is the lowest version here.")
    spec["maxVersion"].lost("The highest version can't be bounded.", "Nothing: TLS 1.3 is safe.")
    spec["cipherSuites"].lost("The cipher suites are Envoy's own choice.", "Nothing: only safe ones are offered.")
    spec["curvePreferences"].lost("The curves are Envoy's own choice.", "Nothing: only safe ones are offered.")
    spec["preferServerCipherSuites"].aside("The server chooses the cipher suite.")
    spec["disableSessionTickets"].lost("Session tickets are Envoy's own choice.", "Nothing: keys change by themselves.")
    spec["sniStrict"].aside("A server name without a certificate gets no connection.")
    spec["alpnProtocols"].lost("HTTP/2 and HTTP/1.1 are offered.", "Nothing, where clients choose by themselves.")
    message = "Certificates of clients are not imported; rules with this option answer 403 until something checks them."
    spec["clientAuth"].lost(message, "Ask for them in the Edge's listener, then give the rules their upstreams.")
