"""The supervisor: checks first, then starts everything in order, watches it, and ends it as one.

In: directories of resources, a state folder. Out: an exit code. Called by the command `ff up`.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fastforward_crds import Edge, Resource

from .child import Child, ChildError, ChildSpec
from .development import Development
from .plan import UpError, UpSettings, check_programs, child_specs, read_resources
from .ports import PortBusyError, check_port
from .project import Project, ProjectError, read_project
from .readiness import until_listening, until_ready
from .screen import Picture, Screen
from .status_feed import StatusFeed

_READY_S = 30.0
_FRAME_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What was found before anything was started."""

    project: Project
    edges: tuple[Edge, ...]
    roots: tuple[Path, ...]
    """Directories that the operator reads: the user's, and the development credentials."""


async def up(settings: UpSettings, screen: Screen) -> int:
    """Run until Ctrl-C or SIGTERM; 1 when something can't be started, 0 otherwise."""
    try:
        prepared = _prepare(settings)
    except (UpError, ProjectError, PortBusyError) as error:
        screen.line(f"ff up: {error}")
        return 1
    stop = asyncio.Event()
    _stop_on_signals(stop)
    children = [Child(spec, settings.state / "logs", lambda _: None) for spec in child_specs(settings, prepared.project, prepared.roots)]
    try:
        await _start(children, settings, prepared, screen, stop)
        if not stop.is_set():
            _say_what_to_try(settings, prepared, screen)
            await _watch(children, settings, screen, stop)
    except ChildError as error:
        screen.close()
        screen.line(f"ff up: {error}")
        return 1
    except TimeoutError:
        screen.close()
        screen.line(f"ff up: not everything was ready within {_READY_S:.0f} s. The logs in {settings.state / 'logs'} say why.")
        return 1
    finally:
        screen.close()
        await _stop(children)
    return 0


def _prepare(settings: UpSettings) -> Prepared:
    check_programs()
    resources = read_resources(settings.directories)
    edges = tuple(resource for resource in resources if isinstance(resource, Edge))
    check_port(settings.api_address, settings.api_port, "the operator's API, --api-port")
    for edge in edges:
        for listener in edge.spec.listeners:
            name = f"{edge.metadata.namespace}/{edge.metadata.name}"
            check_port(settings.address, listener.port, f"listener {listener.name} of Edge {name}, spec.listeners")
    settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    Development(settings.state / "dev").provide(resources)
    roots = (*settings.directories, settings.state / "dev")
    return Prepared(project=_one_project(settings.directories), edges=edges, roots=roots)


def _one_project(directories: Sequence[Path]) -> Project:
    projects = [read_project(directory) for directory in directories]
    return Project.model_construct(
        processes=tuple(program for project in projects for program in project.processes),
        try_=tuple(line for project in projects for line in project.try_),
    )


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)


async def _start(children: Sequence[Child], settings: UpSettings, prepared: Prepared, screen: Screen, stop: asyncio.Event) -> None:
    """Start all at once, then wait for each: the machine's cores are better judges of order than we are."""
    for child in children:
        await child.start()
        screen.line(f"started {child.spec.name} (process {child.pid}), log {child.log}")
    waits = asyncio.gather(*_readiness(children, settings, prepared))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({waits, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if waits.done():
        waits.result()
    else:
        waits.cancel()


def _readiness(children: Sequence[Child], settings: UpSettings, prepared: Prepared):
    ...
