"""When a term begins, and what it costs: a clock that only the test moves, an API server that takes its time."""

import itertools
from collections.abc import Mapping
from typing import Any

from fastforward_operator.kubernetes.client import CONFLICT, NOT_FOUND, ApiError
from fastforward_operator.kubernetes.lease import RENEW_DEADLINE_S, Election


class Slow:
    """Stands for the API client: holds one lease, and lets time pass with each write."""

    def __init__(self) -> None:
        self.now = 100.0
        self.takes = 0.0
        self.lease: dict[str, Any] | None = None
        self.asked: list[str] = []
        self._versions = itertools.count(1)

    async def read(self, path: str) -> dict[str, Any] | None:
        del path
        self.asked.append("read")
        return self.lease

    async def create(self, path: str, body: Mapping[str, Any]) -> str:
        del path
        self.asked.append("create")
        if self.lease is not None:
            raise ApiError(CONFLICT, "it is there")
        return self._keep(body)

    async def replace(self, path: str, body: Mapping[str, Any]) -> str:
        del path
        self.asked.append("replace")
        if self.lease is None:
            raise ApiError(NOT_FOUND, "it is gone")
        if body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            raise ApiError(CONFLICT, "it has changed")
        return self._keep(body)

    def _keep(self, body: Mapping[str, Any]) -> str:
        self.now += self.takes
        version = str(next(self._versions))
        self.lease = {**body, "metadata": {**body["metadata"], "resourceVersion": version}}
        return version


def election(client: Any, told: list[float]) -> Election:  # noqa: ANN401 - a Slow stands for a Client
    return Election(
        client, "a", "system", "lease", on_elected=lambda: told.append(client.now), clock=lambda: client.now
    )


async def test_a_term_that_is_renewed_in_time_goes_on() -> None:
    client, told = Slow(), list[float]()
    made = election(client, told)
    for _ in range(3):
        await made._try()
        assert made.leads
        client.now += RENEW_DEADLINE_S / 2
    assert told == [100.0]


async def test_a_term_that_ended_while_it_was_renewed_begins_anew() -> None:
    """What was not written in between is written then."""
    client, told = Slow(), list[float]()
    made = election(client, told)
    await made._try()
    client.now += RENEW_DEADLINE_S * 0.75
    client.takes = RENEW_DEADLINE_S / 2
    await made._try()
    assert made.leads
    assert len(told) == 2


async def test_who_leads_renews_the_lease_as_it_wrote_it_without_reading_it() -> None:
    client = Slow()
    made = election(client, [])
    for _ in range(3):
        await made._try()
    assert client.asked == ["read", "create", "replace", "replace"]
    client.now += RENEW_DEADLINE_S
    await made._try()
    assert client.asked[4:] == ["read", "replace"], "whose term has ended looks whether it is another's"


async def test_a_lease_that_somebody_touched_is_read_and_kept() -> None:
    client = Slow()
    made = election(client, [])
    await made._try()
    assert client.lease is not None
    client.lease["metadata"]["resourceVersion"] = "touched"
    await made._try()
    assert made.leads
    assert client.asked[2:] == ["replace", "read", "replace"]


async def test_a_lease_that_somebody_took_away_is_made_again() -> None:
    client = Slow()
    made = election(client, [])
    await made._try()
    client.lease = None
    await made._try()
    assert made.leads
    assert client.asked[2:] == ["replace", "read", "create"]


async def test_a_lease_that_somebody_else_took_is_his() -> None:
    client = Slow()
    made = election(client, [])
    await made._try()
    client.lease = {
        "metadata": {"resourceVersion": "other"},
        "spec": {"holderIdentity": "b", "leaseDurationSeconds": 3, "renewTime": "now", "leaseTransitions": 1},
    }
    await made._try()
    assert not made.leads
    assert client.lease["spec"]["holderIdentity"] == "b"
