"""A workload that consumes commands, in this process or as one of its own that can be killed.

In: where RabbitMQ is, NAMESPACE/TYPE, the key of the gateway's authorizations, a file. Out: a line in that file when it
begins with a command and one when it has done it, with its id and its idempotency key. What it does is what the
command's content says: `{"takes": 1.5}`, `{"refuse": TITLE}`, `{"raise": TEXT}`, `{"reply": CONTENT}`, else a reply
with the content. Called by tests; run as `python -m support.command_consumer SETTINGS`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastforward_kit.commands import Broker, Consumer
from fastforward_pipeline.message import Seal, make_verifier

from fastforward.message.v1 import dispatch_pb2, envelope_pb2, error_pb2

from .eventually import meanwhile
from .messages import reply
from .rabbitmq import RabbitServer
from .repository import ROOT

BEGUN, DONE = "begun", "done"


@dataclass
class Workload:
    """What a workload does with commands, and remembers of them."""

    received: list[envelope_pb2.Envelope] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    journal: Path | None = None
    always: Mapping[str, Any] = field(default_factory=dict)
    """What to do whatever a command says."""

    async def handle(self, envelope: envelope_pb2.Envelope) -> dispatch_pb2.HandleResponse:
        """One command."""
        self.received.append(envelope)
        self._write(BEGUN, envelope.header)
        asked: dict[str, Any] = {**json.loads(envelope.payload.body or b"{}"), **self.always}
        await asyncio.sleep(asked.get("takes", 0.0))
        if "raise" in asked:
            raise ValueError(asked["raise"])
        if "refuse" in asked:
            error = error_pb2.Error(code=error_pb2.CODE_FAILED_PRECONDITION, title=asked["refuse"])
            return dispatch_pb2.HandleResponse(error=error)
        self.done.append(envelope.header.id)
        self._write(DONE, envelope.header)
        content = json.dumps(asked["reply"]).encode() if "reply" in asked else envelope.payload.body
        return dispatch_pb2.HandleResponse(reply=reply(content))

    def _write(self, what: str, header: envelope_pb2.Header) -> None:
        if self.journal is not None:
            with self.journal.open("a") as file:
                file.write(f"{what} {header.id} {header.idempotency_key}\n")


@asynccontextmanager
async def consuming(
    server: RabbitServer, destination: str, seal: Seal, *, concurrent: int = 1
) -> AsyncGenerator[Workload]:
    """A workload in this process."""
    workload = Workload()
    consumer = Consumer(server.broker, destination, workload.handle, seal.broken, concurrent=concurrent)
    async with meanwhile(consumer.run()):
        yield workload


@dataclass
class ConsumerProcess:
    """A workload in a process of its own, which is started and killed as a test likes."""

    server: RabbitServer
    destination: str
    key: Mapping[str, Any]
    """A JWK; its public part is enough."""
    folder: Path
    always: Mapping[str, Any] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def journal(self) -> Path:
        return self.folder / "journal"

    def start(self) -> None:
        """Begins to consume, soon."""
        settings = {
            "url": self.server.url,
            "password_file": str(self.server.password_file),
            "destination": self.destination,
            "key": dict(self.key),
            "journal": str(self.journal),
            "always": dict(self.always),
        }
        command = [sys.executable, "-m", "support.command_consumer", json.dumps(settings)]
        with (self.folder / "consumer.log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT / "tests", stdout=log, stderr=log)

    def kill(self) -> None:
        """As kill -9 does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def ids(self, what: str) -> list[str]:
        """Of the commands that it has begun with, or has done, over all its lives."""
        return [id_ for id_, _ in self.known(what)]

    def known(self, what: str) -> list[tuple[str, str]]:
        """The same with their idempotency keys."""
        # The last line may be under way: it counts when it ends.
        lines = self.journal.read_text().split("\n")[:-1] if self.journal.exists() else []
        told = (line.split(" ") for line in lines)
        return [(id_, key) for name, id_, key in told if name == what]


@contextlib.contextmanager
def consumer_process(
    server: RabbitServer, destination: str, key: Mapping[str, Any], folder: Path, **always: object
) -> Generator[ConsumerProcess]:
    """A started one."""
    consumer = ConsumerProcess(server, destination, key, folder, always)
    consumer.start()
    try:
        yield consumer
    finally:
        consumer.kill()


async def main(settings: Mapping[str, Any]) -> None:
    """Consumes until SIGTERM."""
    workload = Workload(journal=Path(settings["journal"]), always=settings["always"])
    broker = Broker(url=settings["url"], username="ff", password_file=Path(settings["password_file"]))
    seal = make_verifier(settings["key"])
    consumer = asyncio.ensure_future(Consumer(broker, settings["destination"], workload.handle, seal.broken).run())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, consumer.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await consumer


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
