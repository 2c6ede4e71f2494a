"""What Gateways and their classes say of pods: the ConfigMaps that they refer to, labels and annotations.

In: parametersRef of a Gateway and of its class, ConfigMaps. Out: ir.Proxies, or Problems. Called by gateway and report.
A Gateway has what its class says, but for what it says itself. Source: Gateway API, `GatewayInfrastructure`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import fastforward_crds as crds
from fastforward_crds import gatewayapi

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells, Rule
from fastforward_compiler.problem import Problem, Reason, problem
from fastforward_compiler.translate.edge import translate_proxies
from fastforward_compiler.translate.world import CONFIG_MAPS, GATEWAY_CLASSES, GATEWAYS, ref_of


class Parameters(NamedTuple):
    """What a ConfigMap says, or why it can't be used."""

    source: str = ""
    data: tuple[tuple[str, str], ...] = ()
    fault: str = ""


def _resolve_proxies(cells: Cells, name: str) -> ir.Proxies | Problem:
    gateway = cells.read(GATEWAYS, name)
    if gateway is None:
        return ir.DEFAULT_PROXIES
    on = ref_of("Gateway", name)
    of_class = cells.read(CLASS_PARAMETERS, gateway.spec.gateway_class_name)
    if of_class.fault:
        message = f"GatewayClass {gateway.spec.gateway_class_name}: {of_class.fault}"
        return problem(on, Reason.INVALID_PARAMETERS, "spec.gatewayClassName", message)
    infrastructure, field = gateway.spec.infrastructure, "spec.infrastructure.parametersRef"
    own = _find(cells, infrastructure.parameters_ref, on.namespace)
    if own.fault:
        return problem(on, Reason.INVALID_PARAMETERS, field, own.fault)
    # The class's were read before, and no field has a say in what another may be: what is wrong is the Gateway's own.
    parsed = gatewayapi.parse_parameters({**dict(of_class.data), **dict(own.data)})
    if not isinstance(parsed, crds.Proxies):
        return problem(on, Reason.INVALID_PARAMETERS, field, f"{own.source}: {_say(parsed)}")
    return replace(
        translate_proxies(parsed, on.namespace, direct=True),
        labels=_pairs(infrastructure.labels),
        shared_annotations=_pairs(infrastructure.annotations),
    )


def _pairs(mapping: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(mapping.items()))


def _of_class(cells: Cells, name: str) -> Parameters:
    found = cells.read(GATEWAY_CLASSES, f"/{name}")
    if found is None:
        return Parameters()
    ref = found.spec.parameters_ref
    if ref is not None and ref.namespace is None:
        return Parameters(fault="The parametersRef of a class needs a namespace.")
    read = _find(cells, ref, "")
    parsed = gatewayapi.parse_parameters(dict(read.data))
    return read if isinstance(parsed, crds.Proxies) else Parameters(fault=f"{read.source}: {_say(parsed)}")


def _find(cells: Cells, ref: gatewayapi.ObjectRef | None, namespace: str) -> Parameters:
    """Of an object in `namespace`, unless the reference names another."""
    if ref is None:
        return Parameters()
    name = f"{ref.namespace or namespace}/{ref.name}"
    if (ref.group, ref.kind) != ("", "ConfigMap"):
        message = f"{ref.kind} {name} of group {ref.group or 'core'} holds no parameters; a ConfigMap does."
        return Parameters(fault=message)
    found = cells.read(CONFIG_MAPS, name)
    if found is None:
        return Parameters(fault=f"ConfigMap {name} was not found.")
    return Parameters(source=f"ConfigMap {name}", data=_pairs(found.data))


def _say(errors: tuple[crds.FieldError, ...]) -> str:
    return " ".join(f"{error.field}: {error.message}" for error in errors)


CLASS_PARAMETERS: Rule[Parameters] = Rule("class parameters", _of_class)
"""(name of a GatewayClass)."""
PROXIES: Rule[ir.Proxies | Problem] = Rule("gateway proxies", _resolve_proxies)
"""(Gateway)."""
