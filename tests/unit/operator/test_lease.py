"""When a term begins: a clock that only the test moves, and an API server that takes its time."""

import itertools
from collections.abc import Mapping
from typing import Any

from fastforward_operator.kubernetes.lease import RENEW_DEADLINE_S, Election


class Slow:
    """Stands for the API client: holds one lease, and lets time pass with each write."""

    def __init__(self) -> None:
        self.now = 100.0
        self.takes = 0.0
        self.lease: dict[str, Any] | None = None
        self._versions = itertools.count(1)

    async def read(self, path: str) -> dict[str, Any] | None:
        del path
        return self.lease

    async def replace(self, path: str, body: Mapping[str, Any]) -> None:
        del path
        self.now += self.takes
        self.lease = {**body, "metadata": {**body["metadata"], "resourceVersion": str(next(self._versions))}}

    create = replace


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
