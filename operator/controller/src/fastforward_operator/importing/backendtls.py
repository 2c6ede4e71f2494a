"""BackendTLSPolicy (Gateway API) to the TLS settings of an Upstream.

In: the policy that holds for a Service. Out: `tls` of its Upstreams, or that there is none to be had. Called by
filters. Source: https://gateway-api.sigs.k8s.io/api-types/backendtlspolicy/
"""

from __future__ import annotations

from .draft import Context, Document
from .reading import Field, Item

KIND = "BackendTLSPolicy"


def policy_of(context: Context, namespace: str, service: str) -> Item | None:
    """The policy of a Service; of several the first by name."""
    found = [item for (kind, where, _), item in context.items.items() if (kind, where) == (KIND, namespace)]
    return next((item for item in sorted(found, key=lambda item: item.name) if _aims_at(item, service)), None)


def _aims_at(policy: Item, service: str) -> bool:
    listed = [target.raw for target in policy.spec["targetRefs"].each()]
    return any(
        isinstance(target, dict) and (target.get("kind"), target.get("name")) == ("Service", service)
        for target in listed
    )


def take_policy(context: Context, policy: Item, owner: str) -> Document | None:
    """The settings for an Upstream of the namespace `owner`; None where something of the policy can't be kept."""
    spec = policy.spec
    validation = spec["validation"]
    spec["options"].lost("Options of an implementation are not read.", "Nothing, where the defaults will do.")
    made: Document = {"serverName": validation["hostname"].text()}
    validation["wellKnownCACertificates"].taken()
    names = [_alternative(each) for each in validation["subjectAltNames"].each()]
    authorities = [_authority(context, policy, each, owner) for each in validation["caCertificateRefs"].each()]
    if None in names or None in authorities or not _is_whole(spec["targetRefs"]):
        return None
    if names:
        made["names"] = names
    if authorities:
        made["authorities"] = authorities
    return made


def _is_whole(targets: Field) -> bool:
    """Whether it holds for all ports of each target."""
    whole = True
    for target in targets.each():
        for part in ("group", "kind", "name"):
            target[part].taken()
        whole = whole and not target["sectionName"]
        remedy = "Write an Upstream with tls for that port, and name it in the Route."
        target["sectionName"].lost("One port of a Service is not told from others: it gets no requests.", remedy)
    return whole


def _alternative(found: Field) -> str | None:
    if found["type"].text() == "Hostname":
        return found["hostname"].text()
    found.lost("Only DNS names are looked for: the Service gets no requests.", "Name one that the certificate has.")
    return None


def _authority(context: Context, policy: Item, found: Field, owner: str) -> Document | None:
    found["group"].taken()
    kind, name = found["kind"].text(), found["name"].text()
    if kind not in ("ConfigMap", "Secret"):
        message = "Authorities are in ConfigMaps and Secrets: the Service gets no requests."
        found["kind"].lost(message, "Write them into one, under ca.crt.")
        return None
    context.draft.permit(("Upstream", owner), kind, policy.namespace, name)
    foreign = {"namespace": policy.namespace} if policy.namespace != owner else {}
    return {"kind": kind, "name": name, **foreign}
