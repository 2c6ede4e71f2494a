"""Whatever is killed, no request on an existing route is lost, and nothing is sent again that Envoy has.

The stack is the product's own processes. Load runs throughout, on a route that the proxy serves alone and on one that
asks the decision service; every answer other than 200 counts as lost.
"""

from __future__ import annotations

import http.client
import threading
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import pytest

from support.client import Connection
from support.credentials import apikeys_data
from support.gateway import Gateway, Stack, until
from support.processes import free_port
from support.resources import on, prefix, resource, route, rule, secret

ROUNDS = 3
ENOUGH = 300
KEY = {"x-api-key": "ffk_acmekeyaaaaa_acmekeyaaaaa"}


@dataclass(slots=True)
class TwoDecisions(Stack):
    """A stack whose Envoy shares its questions between two decision services."""

    def decision_sockets(self) -> tuple[Path, ...]:
        return self.folder / "decision.sock", self.folder / "second.sock"


@dataclass(slots=True)
class Load:
    """Two clients without a pause."""

    port: int
    answers: dict[str, Counter[int]] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._threads = [threading.Thread(target=self._ask, args=(path,)) for path in ("/native", "/asked")]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def total(self) -> int:
        """Answers to the slower client."""
        return min((sum(counter.values()) for counter in self.answers.values()), default=0)

    def _ask(self, path: str) -> None:
        seen = self.answers.setdefault(path, Counter())
        while not self._stop.is_set():
            with Connection(self.port) as connection:
                try:
                    while not self._stop.is_set():
                        seen[connection.request("GET", path, host="example.com", headers=KEY).status] += 1
                except (OSError, http.client.HTTPException):
                    seen[0] += 1

    _threads: list[threading.Thread] = field(default_factory=list)


@pytest.fixture(scope="module")
def stack() -> Generator[Stack]:
    with TemporaryDirectory(prefix="ff") as name:
        made = TwoDecisions(Path(name), free_port())
        try:
            made.start()
            for number in range(2):
                made.start_decision_service(number)
            yield made
        finally:
            made.stop()


@pytest.fixture(scope="module")
def gateway(stack: Stack) -> Generator[Gateway]:
    made = Gateway(stack, namespace="chaos", port=free_port())
    made.begin()
    provider = {"name": "key", "apiKey": {"secrets": [{"name": "keys"}]}, "tenants": ["acme"]}
    made.upstream("origin")
    made.apply(
        resource("Tenant", "acme", {}),
        secret("keys", apikeys_data(acmekeyaaaaa="acme"), "gateway.fastforward.dev/api-keys"),
        route("native", rule(prefix("/native"), to="origin")),
        route("asked", rule(prefix("/asked"), to="origin")),
        resource(
            "AuthPolicy",
            "members",
            {"targets": [on("Route", "asked")], "authentication": {"providers": [provider]}},
        ),
    )
    until(lambda: made.get("/asked", headers=KEY).status, lambda status: status == 200)
    yield made
    made.end()


def _under_load(gateway: Gateway, fault: Callable[[], None]) -> None:
    with Load(gateway.port) as load:
        until(load.total, lambda total: total > ENOUGH)
        for _ in range(ROUNDS):
            fault()
            asked = load.total()
            until(load.total, lambda total, asked=asked: total > asked + ENOUGH)
    lost = {path: dict(counter) for path, counter in load.answers.items() if set(counter) != {200}}
    told = [line for line in gateway.log_lines() if line["status"] != 200]
    assert not lost, told


def test_killing_the_operator_loses_nothing_and_sends_nothing_again(stack: Stack, gateway: Gateway) -> None:
    def kill_and_restart() -> None:
        child = stack.children.pop("operator")
        child.kill()
        child.wait()
        stack.start_operator()
        until(lambda: stack.alive() and stack.is_ready(), seconds=30)
        until(lambda: _not_programmed(stack), lambda found: not found, seconds=30)

    before = _sent(stack)
    _under_load(gateway, kill_and_restart)
    assert _sent(stack) == before


def test_killing_one_of_two_decision_services_loses_nothing(stack: Stack, gateway: Gateway) -> None:
    def kill_and_restart() -> None:
        stack.stop_decision_service(1, kill=True)
        stack.start_decision_service(1)

    _under_load(gateway, kill_and_restart)


def test_stopping_one_of_two_decision_services_loses_nothing(stack: Stack, gateway: Gateway) -> None:
    def stop_and_restart() -> None:
        stack.stop_decision_service(0)
        stack.start_decision_service(0)

    _under_load(gateway, stop_and_restart)


def test_a_change_made_while_the_operator_is_away_takes_effect_when_it_is_back(stack: Stack, gateway: Gateway) -> None:
    child = stack.children.pop("operator")
    child.kill()
    child.wait()
    gateway.write(route("native", rule(prefix("/native"), says="changed")))
    assert gateway.get("/native").status == 200
    stack.start_operator()
    until(lambda: gateway.get("/native").content, lambda content: content == b"changed", seconds=30)


def _not_programmed(stack: Stack) -> list[str]:
    objects = stack.api("/v1/objects")["objects"]
    return [str(found) for found in objects if any(c["status"] != "True" for c in found["conditions"])]


def _sent(stack: Stack) -> int:
    """Resources that Envoy was ever told: it counts the updates that it took."""
    lines = stack.envoy_stats(r"update_success$").splitlines()
    return sum(int(line.rpartition(":")[2]) for line in lines)
