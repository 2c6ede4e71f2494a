"""What a message costs EntryPoint. Run as `python -m perf messages`."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from fastforward_pipeline import Snapshot
from fastforward_pipeline.message import INBOUND, OUTBOUND, Answered, Failed, Intake, Operation, open_passage
from fastforward_rest.answer import make_answer

from fastforward.message.v1 import envelope_pb2
from fastforward.snapshot.v1 import snapshot_pb2
from perf.harness import usage
from perf.harness.benchmark import Bar, Benchmark, Chart, Goal, Options, Outcome, Table, Tell
from perf.harness.load import Ask, wrk
from perf.path.decisions import wait_until_ready
from perf.path.subjects import ask
from support import decision_world as world
from support.entrypoint import running_entrypoint
from support.message_target import message_target
from support.messages import new_seal, reply
from support.processes import free_ports
from support.snapshot_server import SnapshotServer

_CONNECTIONS = 16
_PASSES = 2000
"""Of one message through the stages, alone in this process."""
_TARGET = "shop/orders"
_ORDER = '{"sku": "abc-123", "quantity": 2, "note": "Please leave it with the neighbours."}'
_TOGETHER = "adapter and EntryPoint in one process"
_APART = "adapter and EntryPoint as workloads of their own"
_UPSTREAM = "the rest: HTTP, gRPC, event loop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One closed loop."""

    rate: float
    """Messages a second."""
    cpu_ms: float
    """Processor time a message, of EntryPoint and of the adapter, in one process or in two."""


def measure(options: Options, tell: Tell) -> Outcome:
    """Runs, and then where the time goes."""
    runs = asyncio.run(_measure(options, tell))
    cpu_ms, apart_ms = (median(run.cpu_ms for run in of) for of in runs.values())
    stages = _stages()
    rest = max(0.0, cpu_ms * 1e3 - sum(stages.values()))
    parts = {**stages, _UPSTREAM: rest}
    return Outcome(
        figures={"message": round(cpu_ms, 3), "apart": round(apart_ms, 3)},
        tables=[
            Table(
                title="Messages",
                columns=["", "messages/s", "CPU ms a message"],
                rows=[
                    [name, round(median(run.rate for run in of)), round(median(run.cpu_ms for run in of), 3)]
                    for name, of in runs.items()
                ],
            ),
            Table(
                title="Where the time goes, us a message",
                columns=["", "us"],
                rows=[[name, round(us, 1)] for name, us in parts.items()],
            ),
        ],
        charts=[
            Chart(
                name="messages",
                title="Processor time of one message",
                unit="us",
                bars=[Bar(label=name, value=round(us, 1)) for name, us in parts.items()],
            )
        ],
        data={"runs": {name: [asdict(run) for run in of] for name, of in runs.items()}, "stages": stages},
    )


def _resources(key: world.Key, target_port: int) -> list[snapshot_pb2.Resource]:
    """POST /books becomes a message; its caller has an API key, a role and a tenant."""
    message = snapshot_pb2.MessageDispatch(type="shop.orders.place", upstream=_TARGET)
    made = []
    for each in world.world(key):
        if each.name == f"plan/{world.PLAN}":
            each.plan.ClearField("upstreams")
            each.plan.message.CopyFrom(message)
        made.append(each)
    endpoint = snapshot_pb2.Endpoint(address="127.0.0.1", port=target_port)
    return [*made, world.resource(f"upstream/{_TARGET}", snapshot_pb2.Upstream(endpoints=[endpoint]))]


def _headers(key: world.Key) -> dict[str, str]:
    asked = {name: value for name, value in world.asking(key).items() if name != "x-ff-plan"}
    own = {
        "content-type": "application/json",
        "x-ff-edge": "shop/public",
        "x-ff-entry": world.PLAN,
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "user-agent": "bench",
        "accept": "*/*",
    }
    return {**asked, **own}


async def _measure(options: Options, tell: Tell) -> dict[str, list[Run]]:
    """Snapshot and target are served from here; EntryPoint is a process of its own, or two."""
    key = world.make_key("acme")
    with tempfile.TemporaryDirectory(prefix="ff-bench-") as name:
        folder = Path(name)
        operator = f"unix:{folder}/operator.sock"
        async with message_target() as target:
            port = int(target.address.rpartition(":")[2])
            async with SnapshotServer(_resources(key, port)).serving(operator):
                return await asyncio.to_thread(_run_all, folder, operator, key, options, tell)


def _run_all(folder: Path, operator: str, key: world.Key, options: Options, tell: Tell) -> dict[str, list[Run]]:
    asked = Ask(host="shop.example", path="/books", headers=_headers(key), method="POST", body=_ORDER)
    with ExitStack() as running:
        exchange = f"127.0.0.1:{free_ports(1)[0]}"
        whole = _start(running, folder / "whole", operator, INTERNAL_LISTEN=exchange)
        adapter = _start(running, folder / "adapter", operator, EXCHANGE=exchange, NODE="adapter")
        ways = {_TOGETHER: (whole[0], [whole[1]]), _APART: (adapter[0], [adapter[1], whole[1]])}
        runs: dict[str, list[Run]] = {name: [] for name in ways}
        for number in range(options.rounds + 1):
            for name, (port, pids) in ways.items():
                run = _run(port, pids, asked, options)
                if number or not options.rounds:
                    runs[name].append(run)
                    tell(f"{name}: {run.rate:,.0f} messages/s, {run.cpu_ms:.2f} ms")
        return runs


def _start(running: ExitStack, folder: Path, operator: str, **settings: str) -> tuple[int, int]:
    """A process that takes requests: its port and its id."""
    folder.mkdir()
    [port] = free_ports(1)
    started = running.enter_context(running_entrypoint(folder, operator, LISTEN=f"127.0.0.1:{port}", **settings))
    wait_until_ready(started.health_port)
    assert started.process is not None, "it is ready"
    return port, started.process.pid


def _run(port: int, pids: list[int], asked: Ask, options: Options) -> Run:
    status, _, body = ask(port, asked)
    if status != 200:
        raise RuntimeError(f"the message is answered {status}: {body}")
    before = usage.processor_s(pids)
    seen = wrk(port, [asked], max(1, round(options.seconds)), _CONNECTIONS)
    used = usage.processor_s(pids) - before
    if seen.failed or not seen.requests:
        raise RuntimeError(f"{seen.failed} of {seen.requests} messages failed")
    return Run(rate=seen.rate, cpu_ms=used / seen.requests * 1e3)


class _Clocked:
    """How long parts took, microseconds a message."""

    def __init__(self) -> None:
        self._took: Counter[str] = Counter()

    def __call__(self, name: str, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever the work makes
        began = time.perf_counter_ns()
        made = work()
        self._took[name] += time.perf_counter_ns() - began
        return made

    def us(self) -> dict[str, float]:
        return {name: took / 1e3 / _PASSES for name, took in self._took.items()}


def _stages() -> dict[str, float]:
    """Each stage alone, in this process: what asks for something is answered at once."""
    key = world.make_key("acme")
    snapshot = Snapshot.empty().apply(_resources(key, 1))
    seal, clocked = new_seal(), _Clocked()
    headers = {name: (value,) for name, value in {**_headers(key), "host": "shop.example"}.items()}
    intake = Intake(protocol=envelope_pb2.PROTOCOL_REST, headers=headers, host="shop.example")
    operation = Operation(method="POST", target="/books", body=_ORDER.encode(), media_type="application/json")
    for _ in range(_PASSES):
        answer, now = reply(), time.time()
        envelope = clocked("the message is made", lambda at=now: intake.whole(operation, message_id="m-1", now=at))
        passage = clocked("the message is made", lambda on=envelope, at=now: open_passage(on, snapshot, seal, now=at))
        steps: list[tuple[str, Callable[[], Any]]] = [
            *((f"in: {each.name}", partial(each.process, passage)) for each in INBOUND),
            *((f"out: {each.name}", partial(each.process, passage, answer)) for each in OUTBOUND),
        ]
        for name, step in steps:
            ended = clocked(name, step)
            if isinstance(ended, Failed):
                raise RuntimeError(f"{name}: {ended}")
        clocked("the answer is made", lambda made=answer, on=envelope: make_answer(Answered(made), on))
    return clocked.us()


BENCHMARK = Benchmark(
    name="messages",
    title="Messages",
    about="""
EntryPoint with the REST adapter in its process, asked over HTTP on loopback what Envoy would hand on: an order of 80
bytes, whose caller has an API key, a tenant and a role. The message passes seven stages, is signed (Ed25519), goes over
gRPC to a target that answers at once, and the reply passes five stages. wrk sends over 16 connections that are kept
alive; an answer other than 2xx ends the benchmark; the first run is thrown away. Processor time is EntryPoint's, by the
kernel's count: target, snapshot's server and load generator are other processes. Then the same with the adapter in a
process of its own, which hands each message to EntryPoint over gRPC, in clear text on loopback; processor time is that
of both.

Where it goes is measured apart, in a process that does nothing else: one message through each stage, again and again.
What is left of the whole is HTTP, gRPC and the event loop.
""",
    goals={
        "message": Goal(what=f"processor time a message, {_TOGETHER}", bound=1.5, unit="ms"),
        "apart": Goal(what=f"processor time a message, {_APART}", bound=3.0, unit="ms"),
    },
    measure=measure,
    full=Options(seconds=5, rounds=5),
    smoke=Options(seconds=1, rounds=1),
)
