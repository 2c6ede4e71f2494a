"""A real RabbitMQ for tests, on ports of its own, that can be frozen, killed and started again.

In: a folder. Out: a running server. Called by the tests of commands. Erlang's port mapper is one of its own, too: it
would outlive the test.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from fastforward_kit.commands import Broker, dead_letters_of, name_queue

from .processes import free_ports
from .processfamily import ProcessFamily

START_SECONDS = 60.0
_SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
_HELLO = b"AMQP\x00\x00\x09\x01"
_CONFIG = """
listeners.tcp.1 = 127.0.0.1:{port}
default_user = ff
default_pass = {password}
vm_memory_high_watermark.absolute = 512MB
disk_free_limit.absolute = 1MB
raft.wal_max_size_bytes = 16777216
log.console = true
log.console.level = warning
log.file = false
"""
_TLS = """
listeners.ssl.1 = 127.0.0.1:{port}
ssl_options.cacertfile = {pki}/ca.crt
ssl_options.certfile = {pki}/server.crt
ssl_options.keyfile = {pki}/server.key
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true
"""


@dataclass
class RabbitServer(ProcessFamily):
    """Stopped by `running_rabbitmq`, whatever state a test left it in."""

    folder: Path
    pki: Path | None = None
    """A folder with ca.crt, server.crt and server.key: then it also takes clients that ca.crt knows, over TLS."""
    ports: list[int] = field(default_factory=lambda: free_ports(4))
    password: str = field(default_factory=lambda: secrets.token_hex(12))
    mapper: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"amqp://127.0.0.1:{self.ports[0]}"

    @property
    def tls_url(self) -> str:
        return f"amqps://127.0.0.1:{self.ports[3]}"

    @property
    def password_file(self) -> Path:
        return self.folder / "password"

    @property
    def broker(self) -> Broker:
        return Broker(url=self.url, username="ff", password_file=self.password_file)

    def prepare(self) -> None:
        self.password_file.write_text(self.password)
        tls = "" if self.pki is None else _TLS.format(port=self.ports[3], pki=self.pki)
        config = _CONFIG.format(port=self.ports[0], password=self.password) + tls
        (self.folder / "rabbitmq.conf").write_text(config)
        (self.folder / "enabled_plugins").write_text("[].")
        (self.folder / "environment.conf").touch()
        mapper = shutil.which("epmd") or max(map(str, Path("/usr/lib/erlang").glob("erts-*/bin/epmd")), default="")
        if not _SERVER.exists() or not mapper:
            pytest.fail("RabbitMQ is not installed: run make programs (on Debian: apt-get install rabbitmq-server).")
        self.mapper = self._run([mapper, "-port", str(self.ports[1]), "-address", "127.0.0.1"])
        self._wait(lambda: _connects(self.ports[1]), "epmd")

    def start(self) -> None:
        """Returns when it answers."""
        self.process = self._run([str(_SERVER)])
        self._wait(self._answers, "RabbitMQ")

    def _run(self, command: list[str]) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "HOME": str(self.folder),
            "ERL_EPMD_PORT": str(self.ports[1]),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"ff{self.ports[0]}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.ports[0]),
            "RABBITMQ_DIST_PORT": str(self.ports[2]),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "logs"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "environment.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            # The script becomes the server, rather than its parent.
            "RABBITMQ_ALLOW_INPUT": "1",
            # One scheduler, which does not spin: the tests have the processors, too.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-noinput +S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none",
        }
        with (self.folder / "rabbitmq.log").open("ab") as log:
            return subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def control(self, *arguments: str) -> None:
        """What an operator does by rabbitmqctl."""
        done = self._run([str(_SERVER.with_name("rabbitmqctl")), *arguments])
        assert done.wait(START_SECONDS) == 0, self.log()

    def _wait(self, holds: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not holds():
            assert self.process is None or self.process.poll() is None, f"{what} has ended: {self.log()}"
            assert time.monotonic() < deadline, f"{what} does not answer: {self.log()}"
            time.sleep(0.05)

    def log(self) -> str:
        """The end of what it wrote."""
        return (self.folder / "rabbitmq.log").read_text(errors="replace")[-3000:]

    def _answers(self) -> bool:
        """It listens before it knows its users: it answers when it offers ways to say who one is."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.ports[0]), 1) as connection:
            connection.settimeout(1)
            connection.sendall(_HELLO)
            return connection.recv(1) == b"\x01"
        return False

    def end(self) -> None:
        """For good."""
        self.kill()
        if self.mapper is not None:
            self.mapper.kill()
            self.mapper.wait()

    @contextlib.asynccontextmanager
    async def channel(self) -> AsyncGenerator[AbstractChannel]:
        """A plain client, for what a test does behind everybody's back."""
        url = self.url.replace("://", f"://ff:{self.password}@")
        async with await aio_pika.connect(url) as connection:
            yield await connection.channel(publisher_confirms=True, on_return_raises=True)

    async def dead_letter(self, destination: str, *, seconds: float = 20.0) -> AbstractIncomingMessage:
        """Takes the next one that was left aside."""
        async with self.channel() as channel, asyncio.timeout(seconds):
            queue = await channel.get_queue(dead_letters_of(name_queue(destination)), ensure=False)
            while True:
                letter = await queue.get(no_ack=True, fail=False)
                if letter is not None:
                    return letter
                await asyncio.sleep(0.05)

    async def count(self, queue: str) -> int:
        """How many are ready in a queue."""
        async with self.channel() as channel:
            declared = await channel.declare_queue(queue, passive=True)
            return declared.declaration_result.message_count or 0


def _connects(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextlib.contextmanager
def running_rabbitmq(pki: Path | None = None) -> Generator[RabbitServer]:
    with tempfile.TemporaryDirectory(prefix="ff-rabbitmq-") as folder:
        server = RabbitServer(Path(folder), pki)
        try:
            server.prepare()
            server.start()
            yield server
        finally:
            server.end()
