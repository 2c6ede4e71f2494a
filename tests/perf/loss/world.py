"""What runs while no_drop changes things, and what is made of a load that was judged.

In: a number of routes. Out: a `World` with an operator, an Envoy and two backends; a `Result` for each kind of change.
Called by no_drop and no_drop_faults.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from perf.loss.checked_load import LEAST, Expected, Tally, Target
from perf.loss.kinds import Backends, Folder, Kind, beginning, edited_while_away, fillers, kinds
from perf.loss.network import Network, networks, possible
from perf.ready import until_ready
from perf.standalone import ENVOY, Standalone
from perf.told import Told, told
from support import bookshop
from support.processes import free_ports

FLAGS = ("NC", "UH", "UF", "NR")
"""No cluster, no healthy upstream, upstream connection failure, no route."""
_START_S = 180.0


@dataclass(slots=True)
class Result:
    """One kind of change at one number of routes."""

    what: str
    changes: int = 0
    seconds: float = 0.0
    requests: int = 0
    lost: int = 0
    right: dict[str, int] = field(default_factory=dict)
    losses: dict[str, int] = field(default_factory=dict)
    """What came instead, the most frequent."""
    flags: dict[str, int] = field(default_factory=dict)
    """Of Envoy's access log, all that there were."""

    @property
    def counts(self) -> tuple[float, ...]:
        """Of a row of the table."""
        return self.changes, self.seconds, self.requests, self.lost, self.flagged

    @property
    def flagged(self) -> int:
        """Those that a change must never cause."""
        return sum(count for flags, count in self.flags.items() if set(flags.split(",")) & set(FLAGS))


@dataclass(slots=True, kw_only=True)
class World:
    """Everything that runs."""

    gateway: Standalone
    folder: Folder
    told: Told
    log: Path
    tls: int
    """Port of the listener with certificates."""
    kinds: Mapping[str, Kind]
    network: Network | None
    """Where a second Envoy can be; none unless root asks."""

    def sent(self) -> dict[str, int]:
        """How many resources of each type the first Envoy was sent and has acknowledged."""
        (node,) = (each for each in self.gateway.api("/v1/proxies")["proxies"] if each["node"] == ENVOY)
        return {type_: each["told"] - each["unacknowledged"] for type_, each in node["types"].items()}

    def place(self, kind: Kind) -> tuple[str, int]:
        return "127.0.0.1", self.tls if kind.tls else self.gateway.port


@asynccontextmanager
async def world(routes: int) -> AsyncGenerator[World]:
    """Operator, Envoy, two backends; every kind in its first version, and served."""
    with tempfile.TemporaryDirectory(prefix="ff-bench-") as name, ExitStack() as stack:
        found = stack.enter_context(networks(1)) if possible() else []
        backends = _backends(stack, found[0].here if found else "127.0.0.1")
        path = Path(name) / "resources"
        path.mkdir()
        folder, (tls,), log = Folder(path), free_ports(1), Path(name) / "access.log"
        made = [*kinds(backends), edited_while_away()]
        # Some Envoys have a network of their own, so listeners bind all addresses.
        source = {"FF_DIRECTORIES": str(path), "FF_ACCESS_LOG": str(log), "FF_BIND_ADDRESS": "0.0.0.0"}
        with Standalone(Path(name) / "state", source) as gateway:
            folder.write({"beginning": beginning(backends, gateway.port, tls), "fillers": fillers(routes)})
            for kind in made:
                for files in kind.steps(0):
                    folder.write(files)
            gateway.start_operator()
            gateway.start_envoy(workers=2)
            await asyncio.to_thread(until_ready, gateway)
            async with told(gateway.api_port) as said:
                await said.until(lambda: all(kind.told(said, 0) for kind in made), _START_S)
                yield World(
                    gateway=gateway,
                    folder=folder,
                    told=said,
                    log=log,
                    tls=tls,
                    kinds={kind.name: kind for kind in made},
                    network=found[0] if found else None,
                )


def _backends(stack: ExitStack, address: str) -> Backends:
    host = "0.0.0.0" if address != "127.0.0.1" else address
    shops = {each: stack.enter_context(bookshop.running("--name", each, "--host", host)) for each in "ab"}
    return Backends(
        address=address,
        rest={each: shop.rest_port for each, shop in shops.items()},
        calls={each: shop.grpc_port for each, shop in shops.items()},
    )


def neighbour(running: World) -> Target:
    """A route that is never changed."""
    return Target(
        hosts=["neighbour.bench.localhost"],
        expected=Expected(lambda _: frozenset({"a"})),
        places=lambda: [("127.0.0.1", running.gateway.port)],
        label="neighbour, ",
    )


def result(what: str, changes: int, seconds: float, tally: Tally, asked: Counter[str], log: Path) -> Result:
    """Raises RuntimeError when there was no load worth the name."""
    right = {**tally.right, "in bulk": asked["right"]}
    idle = [over for over, count in right.items() if count < LEAST]
    if idle:
        raise RuntimeError(f"{what}: hardly a right answer over {', '.join(idle)}: {tally}")
    lost = tally.lost + Counter({f"in bulk: {name}": count for name, count in asked.items() if name != "right"})
    return Result(
        what=what,
        changes=changes,
        seconds=round(seconds, 1),
        requests=tally.right.total() + tally.lost.total() + asked.total(),
        lost=lost.total(),
        right=right,
        losses=dict(lost.most_common(20)),
        flags=dict(flags_of(log)),
    )


def begin_log(log: Path) -> None:
    """From here on; Envoy appends."""
    if log.exists():
        os.truncate(log, 0)


def flags_of(log: Path) -> Counter[str]:
    """How many lines have which flags; those without are none."""
    time.sleep(1.2)  # Envoy writes what it has once a second.
    with log.open() as lines:
        found = [json.loads(line)["flags"] for line in lines if line.endswith("\n")]
    return Counter(flags for flags in found if flags and flags != "-")
