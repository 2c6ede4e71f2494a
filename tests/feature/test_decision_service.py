"""Routes that ask a decision service: told before they are sent, never lost while one of two goes and comes."""

import asyncio
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from support.load import load
from support.operator import Gateway, edge, gateway, respond, serves, until

EXACT = """
apiVersion: gateway.fastforward.dev/v1alpha1
kind: RateLimit
metadata: {name: many}
spec:
  targets: [{kind: Route, name: counted}]
  budget: {requests: 1000000, window: 1s}
  enforcement: Exact
  onFailure: Closed
"""


@asynccontextmanager
async def counting_gateway(folder: Path, *decisions: str) -> AsyncGenerator[Gateway]:
    """A route that is counted by decision services, and one that is not."""
    # Time enough for a service that shares two cores with others that start.
    async with gateway(folder, decision_timeout_ms=5000) as running:
        running.write("edge", edge("*.example.com"), EXACT)
        running.write("counted", respond("counted", "counted.example.com", "0"))
        running.write("plain", respond("plain", "plain.example.com", "0"))
        for name in decisions:
            running.start_decision_service(name)
        yield running


async def test_a_counted_route_is_programmed_when_a_decision_service_knows_it(tmp_path: Path) -> None:
    async with counting_gateway(tmp_path) as running:
        envoy = running.start_envoy()
        await until(lambda: running.programmed("Route", "plain"), bool)
        found = await running.condition("Route", "counted")
        assert (found["status"], found["reason"]) == ("False", "NoDecisionService")
        assert (await envoy.get("counted.example.com")).status == 503
        running.start_decision_service("decision")
        await until(lambda: running.programmed("Route", "counted"), bool)
        await until(lambda: running.programmed("RateLimit", "many"), bool)


async def test_an_edited_route_is_never_asked_about_before_the_decision_service_knows_it(tmp_path: Path) -> None:
    async with counting_gateway(tmp_path, "decision") as running:
        envoy = running.start_envoy()
        await serves(envoy, "counted.example.com", "0")
        async with load(envoy.port, "counted.example.com") as seen:
            for number in range(1, 41):
                running.write("counted", respond("counted", "counted.example.com", str(number)))
                await serves(envoy, "counted.example.com", str(number))
        assert not seen.failed
        await until(lambda: running.programmed("Route", "counted", 41), bool)


async def test_one_of_two_decision_services_may_die_and_come_back(tmp_path: Path) -> None:
    async with counting_gateway(tmp_path, "one", "two") as running:
        await until(lambda: running.told("one"), bool)
        await until(lambda: running.told("two"), bool)
        envoy = running.start_envoy()
        await serves(envoy, "counted.example.com", "0")
        async with load(envoy.port, "counted.example.com") as seen:
            one = running.decisions[0]
            for number in range(1, 4):
                one.send(signal.SIGKILL)
                await asyncio.to_thread(one.stop)
                running.write("counted", respond("counted", "counted.example.com", str(number)))
                await serves(envoy, "counted.example.com", str(number))
                one.start()
                await until(lambda: running.told("one"), bool)
                await until(lambda want=number + 1: running.programmed("Route", "counted", want), bool)
        assert not seen.failed


async def test_a_restart_of_the_operator_sends_decision_services_nothing_and_loses_no_request(tmp_path: Path) -> None:
    async with counting_gateway(tmp_path, "decision") as running:
        envoy = running.start_envoy()
        await serves(envoy, "counted.example.com", "0")
        async with load(envoy.port, "counted.example.com") as seen:
            await running.restart()
            told = await until(lambda: running.told("decision"), bool)
            assert set(told.values()) == {0}
            await until(lambda: running.programmed("Route", "counted"), bool)
        assert not seen.failed


async def test_a_frozen_decision_service_holds_up_only_what_asks_it_and_only_until_it_is_given_up(
    tmp_path: Path,
) -> None:
    async with counting_gateway(tmp_path, "one", "two") as running:
        await until(lambda: running.told("one"), bool)
        await until(lambda: running.told("two"), bool)
        envoy = running.start_envoy()
        await serves(envoy, "counted.example.com", "0")
        await until(lambda: running.programmed("Route", "counted"), bool)
        running.decisions[1].send(signal.SIGSTOP)
        running.write("plain", respond("plain", "plain.example.com", "1"))
        await serves(envoy, "plain.example.com", "1")
        await until(lambda: running.programmed("Route", "plain", 2), bool, seconds=1)
        running.write("counted", respond("counted", "counted.example.com", "1"))
        pending = await until(
            lambda: running.condition("Route", "counted"), lambda found: found["message"] == "Waiting for two."
        )
        assert pending["status"] == "Unknown"
        await until(lambda: running.programmed("Route", "counted", 2), bool)
