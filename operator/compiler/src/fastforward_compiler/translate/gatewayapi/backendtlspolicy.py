"""BackendTLSPolicy: TLS towards the ports of Services.

In: BackendTLSPolicies, the authorities that they name. Out: `ir.UpstreamTls` of a port, or that there is none to be
had; Problems. Called by backend and report. The oldest policy of a target wins, one for a port before one for all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from fastforward_crds import gatewayapi

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells, Index, Rule
from fastforward_compiler.problem import ConditionType, ObjectRef, Problem, Reason, problem
from fastforward_compiler.translate.certificate import AUTHORITIES, Unusable
from fastforward_compiler.translate.world import BACKEND_POLICIES_OF, BACKEND_TLS_POLICIES, GATEWAYS, age, ref_of

from .section import Fault, resolve_certificate

_KINDS = ("ConfigMap", "Secret")
ANY_PORT = ""


class BackendTls(NamedTuple):
    """What a port's policy comes to; `tls` is None where nobody could be believed."""

    policy: str
    tls: ir.UpstreamTls | None


class PolicyTranslation(NamedTuple):
    """A policy by itself, whatever others say of its targets."""

    tls: ir.UpstreamTls | None
    problems: tuple[Problem, ...]


def _translate_policy(cells: Cells, name: str) -> PolicyTranslation | None:
    policy = cells.read(BACKEND_TLS_POLICIES, name)
    if policy is None:
        return None
    on, problems = ref_of("BackendTLSPolicy", name), []
    validation = policy.spec.validation
    authorities = b"".join(_authorities(cells, on, validation.ca_certificate_refs, problems))
    if not authorities and validation.well_known_ca_certificates != "System":
        message = "None of its authorities can be used."
        field = "spec.validation.caCertificateRefs"
        problems.append(problem(on, Reason.NO_VALID_CA_CERTIFICATE, field, message))
        return PolicyTranslation(None, tuple(problems))
    names = validation.subject_alt_names
    tls = ir.UpstreamTls(
        server_name=validation.hostname,
        authorities=authorities,
        dns_names=tuple(n.hostname for n in names if n.hostname is not None) if names else (validation.hostname,),
        uris=tuple(n.uri for n in names if n.uri is not None),
    )
    return PolicyTranslation(tls, tuple(problems))


def _authorities(
    cells: Cells, on: ObjectRef, refs: Iterable[gatewayapi.ObjectRef], problems: list[Problem]
) -> Iterator[bytes]:
    for place, ref in enumerate(refs):
        field = f"spec.validation.caCertificateRefs[{place}]"
        if ref.group or ref.kind not in _KINDS:
            message = f"{ref.kind} {ref.name} of group {ref.group or 'core'} holds no authorities; a ConfigMap does."
            problems.append(problem(on, Reason.INVALID_KIND, f"{field}.kind", message))
            continue
        found = cells.read(AUTHORITIES, ref.kind, f"{on.namespace}/{ref.name}")
        if isinstance(found, Unusable):
            problems.append(problem(on, Reason.INVALID_CA_CERTIFICATE_REF, field, found.message))
        else:
            yield found.rstrip() + b"\n"


def _find_client_certificate(cells: Cells, gateway: str) -> ir.Certificate | Fault | None:
    """None for a Gateway that shows none."""
    found = cells.read(GATEWAYS, gateway)
    ref = found.spec.tls.backend.client_certificate_ref if found is not None else None
    return resolve_certificate(cells, ref_of("Gateway", gateway), ref) if ref is not None else None


def _find_tls(cells: Cells, service: str, port: str) -> BackendTls | None:
    """None for a port without a policy."""
    for section in dict.fromkeys((port, ANY_PORT)):
        policy = cells.read(WINNER, service, section)
        if policy is not None:
            made = cells.read(POLICY, policy)
            return BackendTls(policy, made.tls if made is not None else None)
    return None


def _find_winner(cells: Cells, service: str, section: str) -> str | None:
    """The oldest policy with exactly this target."""
    found = ((name, cells.read(BACKEND_TLS_POLICIES, name)) for name in cells.read(BACKEND_POLICIES_OF, service))
    aimed = [(name, policy) for name, policy in found if policy is not None and _aims_at(policy, service, section)]
    return min(aimed, key=lambda pair: age(pair[1]))[0] if aimed else None


def _aims_at(policy: gatewayapi.BackendTlsPolicy, service: str, section: str) -> bool:
    name = service.partition("/")[2]
    return any((each.name, each.section_name or ANY_PORT) == (name, section) for each in policy.spec.target_refs)


class PolicyTold(NamedTuple):
    """Problems, what is said at each Gateway that uses a target, and the Upstreams that it is for."""

    problems: tuple[Problem, ...]
    parts: tuple[ir.Part, ...]
    upstreams: frozenset[str]


def tell_policy(cells: Cells, on: ObjectRef, name: str) -> PolicyTold | None:
    """None of a policy that is none of our business."""
    policy, made = cells.read(BACKEND_TLS_POLICIES, name), cells.read(POLICY, name)
    if policy is None or made is None:
        return None
    problems = list(made.problems)
    gateways: dict[str, None] = {}
    upstreams: set[str] = set()
    for place, target in enumerate(policy.spec.target_refs):
        service = f"{on.namespace}/{target.name}"
        gateways |= dict.fromkeys(sorted(cells.read(GATEWAYS_USING, service)))
        upstreams.update(cells.read(UPSTREAMS_USING, service))
        winner = cells.read(WINNER, service, target.section_name or ANY_PORT)
        if winner is not None and winner != name:
            message = f"BackendTLSPolicy {winner}, which is older, has the same target."
            problems.append(problem(on, Reason.CONFLICTED, f"spec.targetRefs[{place}]", message))
    if not gateways:
        return None
    verdicts = tuple(_verdict(kind, problems) for kind in (ConditionType.ACCEPTED, ConditionType.RESOLVED_REFS))
    parts = tuple(ir.Part(place=_ancestor(gateway), verdicts=verdicts) for gateway in gateways)
    return PolicyTold(tuple(problems), parts, frozenset(upstreams))


def _ancestor(gateway: str) -> tuple[tuple[str, str | int], ...]:
    namespace, _, name = gateway.partition("/")
    return (("group", gatewayapi.GROUP), ("kind", "Gateway"), ("name", name), ("namespace", namespace))


def _verdict(kind: ConditionType, problems: Iterable[Problem]) -> ir.Verdict:
    wrong = [each for each in problems if each.condition is kind]
    if not wrong:
        return ir.Verdict(type=str(kind), holds=True, reason=str(kind))
    message = " ".join(dict.fromkeys(each.message for each in wrong))
    return ir.Verdict(type=str(kind), holds=False, reason=str(wrong[0].reason), message=message)


CLIENT_CERTIFICATE: Rule[ir.Certificate | Fault | None] = Rule("client certificate", _find_client_certificate)
"""(Gateway): what it shows of itself to backends over TLS."""
GATEWAYS_USING: Index[str] = Index("gateways by service")
"""(Service) -> Gateways with a route there."""
UPSTREAMS_USING: Index[str] = Index("upstreams by service")
"""(Service) -> Upstreams that are made from it for routes."""
POLICY: Rule[PolicyTranslation | None] = Rule("backend TLS policy", _translate_policy)
"""(BackendTLSPolicy)."""
WINNER: Rule[str | None] = Rule("backend TLS policy in force", _find_winner)
"""(Service, name of a port or "" for all)."""
BACKEND_TLS: Rule[BackendTls | None] = Rule("backend TLS", _find_tls)
"""(Service, name of the port)."""
