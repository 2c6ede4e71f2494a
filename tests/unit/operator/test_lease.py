"""When a term begins, and what it costs: a clock that only the test moves, an API server that takes its time."""

import asyncio
import itertools
from collections.abc import Mapping
from typing import Any

import pytest
from fastforward_operator.kubernetes import lease
from fastforward_operator.kubernetes.client import CONFLICT, NOT_FOUND, ApiError
from fastforward_operator.kubernetes.lease import DURATION_S, RENEW_DEADLINE_S, RETRY_S, Election


class Slow:
    """Stands for the API client: holds one lease, and lets time pass with each request."""

    def __init__(self) -> None:
        self.now = 100.0
        self.takes = 0.0
        self.lease: dict[str, Any] | None = None
        self.asked: list[str] = []
        self._versions = itertools.count(1)

    async def read(self, path: str) -> dict[str, Any] | None:
        del path
        self.asked.append("read")
        found = self.lease
        self.now += self.takes
        return found

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


def silent(made: Election, resumed: list[float]) -> None:
    """Notes when a term goes on."""
    made.on_resumed = lambda: resumed.append(made.clock())


async def test_a_term_that_ended_while_it_was_renewed_goes_on() -> None:
    """Nobody else had the lease: what was left out in between is written then, and nothing else."""
    client, told, resumed = Slow(), list[float](), list[float]()
    made = election(client, told)
    silent(made, resumed)
    made.listens_s = 1.0
    await made._try()
    client.now += RENEW_DEADLINE_S * 0.75
    client.takes = RENEW_DEADLINE_S * 0.75
    await made._try()
    assert made.speaks
    assert (told, resumed) == ([100.0], [100.0 + 1.5 * RENEW_DEADLINE_S])
    client.now += RENEW_DEADLINE_S * 0.25
    assert not made.leads, "its term is from when the renewal was sent"


async def test_a_term_that_ended_long_ago_goes_on_where_nobody_took_the_lease() -> None:
    client, told, resumed = Slow(), list[float](), list[float]()
    made = election(client, told)
    silent(made, resumed)
    await made._try()
    client.now += 10 * DURATION_S
    await made._try()
    assert made.leads
    assert (len(told), len(resumed)) == (1, 1)


@pytest.mark.parametrize("gave_back", [True, False], ids=["given back", "dead"])
async def test_a_term_after_that_of_somebody_else_begins_anew(*, gave_back: bool) -> None:
    client, told, others, resumed = Slow(), list[float](), list[float](), list[float]()
    made, other = election(client, told), election(client, others)
    other.identity = "b"
    silent(made, resumed)
    await made._try()
    await other._try()
    client.now += DURATION_S
    await other._try()
    assert (made.leads, other.leads) == (False, True)
    assert not made.follows, "as far as it knows nobody else leads"
    await made._try()
    assert (made.follows, other.follows) == (True, False)
    if gave_back:
        await other._release()
    client.now += DURATION_S
    await made._try()
    assert made.leads
    assert not made.follows
    assert (len(told), len(others), resumed) == (2, 1, [])


async def test_a_lease_made_again_after_its_term_is_a_new_one() -> None:
    client, told = Slow(), list[float]()
    made = election(client, told)
    await made._try()
    client.lease = None
    client.now += RENEW_DEADLINE_S
    await made._try()
    assert made.leads
    assert len(told) == 2


@pytest.mark.parametrize(("takes", "lapses"), [(0.05, False), (0.7, False), (0.95, False), (1.5, True)])
async def test_a_slow_api_server_has_its_leader_elected_once(
    monkeypatch: pytest.MonkeyPatch, *, takes: float, lapses: bool
) -> None:
    client, told, resumed = Slow(), list[float](), list[float]()
    client.takes = takes
    made = election(client, told)
    made.listens_s = RENEW_DEADLINE_S
    silent(made, resumed)
    sent = list[float]()
    tried = made._try
    monkeypatch.setattr(Election, "_try", lambda _: sent.append(client.now) or tried())

    async def sleep(seconds: float) -> None:
        assert made.leads
        assert made.speaks == (client.now >= told[0] + RENEW_DEADLINE_S)
        if len(sent) == 20:
            raise asyncio.CancelledError
        client.now += seconds

    monkeypatch.setattr(lease.asyncio, "sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await made.run()
    assert len(told) == 1
    assert bool(resumed) is lapses
    apart = [later - earlier for earlier, later in itertools.pairwise(sent[1:])]
    assert max(apart) <= max(takes, RETRY_S * 1.2) + 1e-6
    assert min(apart) >= max(takes, RETRY_S * 0.8) - 1e-6, "no more requests than before"


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
