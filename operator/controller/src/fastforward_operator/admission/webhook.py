"""The webhook as a whole: its certificate, whom it listens to, its server, and what the API server knows of it.

In: the parts of an operator. Out: `run`, until cancelled. Called by bootstrap. It listens when this replica has
compiled everything once: until then nobody answers, and kinds that need an answer wait.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import fastforward_crds as crds
from fastforward_compiler import Judgement
from fastforward_compiler.problem import ObjectRef

from fastforward_operator.certificates import Subject, ends_at
from fastforward_operator.kubernetes.authority import Authority
from fastforward_operator.kubernetes.client import Client
from fastforward_operator.kubernetes.serving import ServingCertificate
from fastforward_operator.kubernetes.webhookconfig import SERVICE, Announcer
from fastforward_operator.reconcile import Reconciler
from fastforward_operator.settings import Settings
from fastforward_operator.telemetry import Metrics

from .callers import Callers
from .judge import Ask, Judge
from .server import WebhookServer
from .tls import RotatingContext, Shown


@dataclass(slots=True, kw_only=True)
class Webhook:
    """One a process."""

    settings: Settings
    client: Client
    authority: Authority
    reconciler: Reconciler
    metrics: Metrics
    port: int = 0
    """The one in force, once it listens."""

    async def run(self) -> None:
        """Until cancelled."""
        settings = self.settings
        callers = Callers(
            self.client,
            file=settings.webhook_client_ca,
            name=settings.webhook_client_name,
            anybody=settings.webhook_anybody,
        )
        self.authority.on_change.append(self._note_authority)
        async with asyncio.TaskGroup() as group:
            group.create_task(callers.run())
            name = settings.webhook_configuration
            group.create_task(Announcer(self.client, self.authority, self.authority.leads, name).run())
            await self._serve(callers)

    async def _serve(self, callers: Callers) -> None:
        await self.authority.ready.wait()
        await self.reconciler.first_step.wait()
        await callers.known.wait()
        host, _, port = self.settings.webhook_address.rpartition(":")
        server = WebhookServer(
            host=host,
            port=int(port),
            context=RotatingContext(self._shown(callers)),
            callers=callers,
            judge=Judge(ask=self._ask(), namespaces=self.settings.namespaces),
            metrics=self.metrics,
        )
        await server.start()
        self.port = server.port
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.shield(server.stop())

    def _note_authority(self) -> None:
        if self.authority.held is not None:
            self.metrics.certified("authority", ends_at(self.authority.held.current.certificate))

    def _ask(self) -> Ask:
        """Asks the reconciler in its own loop."""
        loop = asyncio.get_running_loop()

        async def ask(ref: ObjectRef, value: crds.Resource | crds.Invalid) -> Judgement:
            asked = asyncio.run_coroutine_threadsafe(self.reconciler.judge(ref, value), loop)
            return await asyncio.wrap_future(asked)

        return ask

    def _shown(self, callers: Callers) -> Callable[[], Shown]:
        service = f"{SERVICE}.{self.settings.lease_namespace}.svc"
        names, addresses = by_kind(self.settings.webhook_names)
        subject = Subject(name=SERVICE, hosts=(service, *names), addresses=addresses, server=True)
        serving = ServingCertificate(self.authority, subject)

        def shown() -> Shown:
            material = serving.material()
            self.metrics.certified("webhook", ends_at(material.chain.decode()))
            return Shown(material.chain, material.key, "" if callers.anybody else callers.authority)

        return shown


def by_kind(names: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """DNS names and addresses apart."""
    hosts, addresses = [], []
    for name in names:
        try:
            addresses.append(str(ipaddress.ip_address(name)))
        except ValueError:
            hosts.append(name)
    return tuple(hosts), tuple(addresses)
