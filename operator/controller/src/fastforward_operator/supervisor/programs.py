"""What `ff up` runs, as ChildSpecs, in the order in which it is started.

In: what the checks found, the state folder. Out: ChildSpecs. Called by supervisor/up. Every setting that a child gets
stands here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from .checks import Prepared
from .child import ChildSpec
from .development import Development
from .envoy import DRAIN_S, drain_envoy, envoy_command
from .project import program_command
from .state import StateFolder

ENVOY = "envoy"
OPERATOR = "operator"
DECISION = "decision"
TRAEFIK = "traefik"


def child_specs(prepared: Prepared, state: StateFolder) -> tuple[ChildSpec, ...]:
    """Operator first: it takes longest to begin; Envoy needs it."""
    return (
        _operator(prepared, state),
        _decision(prepared, state),
        *_sample_programs(prepared),
        _envoy(prepared, state),
        *_traefik(prepared),
    )


def _traefik(prepared: Prepared) -> Iterator[ChildSpec]:
    if prepared.front is not None:
        plan = prepared.front
        yield ChildSpec(
            name=TRAEFIK,
            command=plan.command,
            environment=prepared.settings.environment,
            prepare=partial(_begin_empty, plan.file),
        )


def _begin_empty(path: Path) -> None:
    """The file that it watches has to be there; it is filled when the Edges have been read."""
    if not path.exists():
        path.write_text("{}")


def _operator(prepared: Prepared, state: StateFolder) -> ChildSpec:
    settings = prepared.settings
    roots = (*settings.directories, Development(state.dev).resources)
    own = {
        "FF_DIRECTORIES": ":".join(str(root.absolute()) for root in roots),
        "FF_STATE_DIR": str(state.operator),
        "FF_XDS_ADDRESS": f"unix:{state.xds_socket}",
        "FF_API_HOST": settings.api_address,
        "FF_API_PORT": str(settings.api_port),
        "FF_BIND_ADDRESS": ",".join(settings.bind),
        "FF_ACCESS_LOG": str(state.logs / "access.log"),
    }
    if prepared.front is not None:
        own |= {"FF_PORTS": json.dumps(dict(prepared.front.ports)), "FF_FRONT_ADDRESSES": prepared.front.trusted}
    return ChildSpec(
        name=OPERATOR,
        command=(sys.executable, "-m", "fastforward_operator"),
        environment={**settings.environment, **own},
    )


def _decision(prepared: Prepared, state: StateFolder) -> ChildSpec:
    own = {
        "FF_ENTRYPOINT_NODE": DECISION,
        "FF_ENTRYPOINT_LISTEN": f"unix:{state.decision_socket}",
        "FF_ENTRYPOINT_OPERATOR": f"unix:{state.xds_socket}",
        "FF_ENTRYPOINT_STATE_DIR": str(state.decision),
    }
    return ChildSpec(
        name=DECISION,
        command=(sys.executable, "-m", "fastforward_entrypoint"),
        environment={**prepared.settings.environment, **own},
    )


def _envoy(prepared: Prepared, state: StateFolder) -> ChildSpec:
    path = state.envoy / "bootstrap.json"
    return ChildSpec(
        name=ENVOY,
        command=envoy_command(prepared.envoy, path),
        environment=prepared.settings.environment,
        prepare=partial(_write_bootstrap, path, state, prepared.settings.zone),
        drain=partial(drain_envoy, state.admin_socket),
        grace_s=DRAIN_S,
    )


def _write_bootstrap(path: Path, state: StateFolder, zone: str | None) -> None:
    # Its import takes a fifth of a second, in which the operator has already begun.
    from fastforward_compiler.emit.envoy import bootstrap  # noqa: PLC0415

    path.write_text(
        bootstrap(
            node_id=ENVOY,
            node_cluster="fastforward",
            xds=f"unix:{state.xds_socket}",
            admin=f"unix:{state.admin_socket}",
            decisions=(str(state.decision_socket),),
            zone=zone,
        )
    )


def _sample_programs(prepared: Prepared) -> Iterator[ChildSpec]:
    for program in prepared.project.programs:
        yield ChildSpec(name=program.name, command=program_command(program), environment=prepared.settings.environment)
