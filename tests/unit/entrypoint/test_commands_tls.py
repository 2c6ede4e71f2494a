"""Commands over TLS with a real RabbitMQ: both ends prove who they are, and what does not is not spoken to."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastforward_entrypoint.messages.commands.rabbitmq import RabbitCommands, make_policy
from fastforward_kit.commands import Broker, Consumer
from fastforward_kit.commands.broker import LOST
from fastforward_pipeline.message import Answered

from fastforward.snapshot.v1 import snapshot_pb2 as pb
from support.cluster.certificates import Authority, make_authority, name, write_certificate
from support.command_consumer import Workload
from support.eventually import eventually, meanwhile
from support.message_exchange import SEAL, entrypoint
from support.messages import envelope
from support.rabbitmq import RabbitServer, running_rabbitmq

TYPE = "shop.orders.ship"


@dataclass
class Secured:
    """A RabbitMQ that wants certificates, and where its own and its clients' are."""

    server: RabbitServer
    authority: Authority
    pki: Path

    def broker(self, *, ca: str = "ca", client: str | None = "client", host: str = "127.0.0.1") -> Broker:
        shown = "" if client is None else f"&certfile={self.pki}/{client}.crt&keyfile={self.pki}/{client}.key"
        url = self.server.tls_url.replace("127.0.0.1", host)
        return Broker(
            url=f"{url}?cafile={self.pki}/{ca}.crt{shown}", username="ff", password_file=self.server.password_file
        )


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Generator[Secured]:
    pki = tmp_path_factory.mktemp("pki")
    authority, other = make_authority(), make_authority()
    for made, file in ((authority, "ca"), (other, "other-ca")):
        write_certificate(pki / f"{file}.crt", made.certificate)
    authority.issue(pki, "server", name("rabbitmq"), ("127.0.0.1",))
    authority.issue(pki, "client", name("entrypoint"))
    other.issue(pki, "stranger", name("entrypoint"))
    with running_rabbitmq(pki) as server:
        yield Secured(server, authority, pki)


async def test_a_command_goes_to_its_consumer_and_back_when_both_ends_prove_who_they_are(secured: Secured) -> None:
    workload = Workload()
    commands = RabbitCommands(secured.broker(), make_policy(5.0))
    consumer = Consumer(secured.broker(), f"shop/{TYPE}", workload.handle, SEAL.broken)
    message = pb.MessageDispatch(type=TYPE, delivery=pb.MESSAGE_DELIVERY_COMMAND)
    async with (
        meanwhile(commands.run()),
        meanwhile(consumer.run()),
        entrypoint("", message=message, commands=commands) as exchange,
    ):
        await eventually(lambda: commands._line is not None, claim="RabbitMQ is there")
        outcome = await exchange.exchange(envelope(b"{}", prefer="wait=10"))
    assert isinstance(outcome, Answered)
    assert outcome.reply.header.completion.status == 0
    assert len(workload.done) == 1


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"ca": "other-ca"}, "CERTIFICATE_VERIFY_FAILED"),
        ({"host": "localhost"}, "CERTIFICATE_VERIFY_FAILED"),
        ({"client": None}, None),
        ({"client": "stranger"}, None),
        ({"client": "missing"}, "No such file"),
    ],
    ids=["another-authority", "another-name", "no-certificate", "a-stranger's-certificate", "no-file"],
)
async def test_who_proves_nothing_is_not_spoken_to(secured: Secured, said: dict[str, Any], why: str | None) -> None:
    with pytest.raises(LOST, match=why):
        await secured.broker(**said)._connect()
    # The same without the mistake.
    await (await secured.broker()._connect()).close()


async def test_a_certificate_that_comes_later_is_taken_up(secured: Secured) -> None:
    connected = asyncio.Event()

    async def use(_: object) -> None:
        connected.set()
        await asyncio.Event().wait()

    async with meanwhile(secured.broker(client="late").keep_using(use)):
        with pytest.raises(LOST):
            await secured.broker(client="late")._connect()
        assert not connected.is_set()
        secured.authority.issue(secured.pki, "late", name("entrypoint"))
        async with asyncio.timeout(10):
            await connected.wait()
