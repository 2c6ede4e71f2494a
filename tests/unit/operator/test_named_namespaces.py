"""Informers of namespaces that are named: one that is gone holds nobody up, one that may not be read is not gone."""

import pytest
from fastforward_operator.kubernetes.client import ApiError
from fastforward_operator.providers import kubernetes as provider_module

from support.eventually import eventually
from support.informing import Scripted, following, upstream

NAMED = ("shop", "other")
OTHER = "/namespaces/other/upstreams"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("_RETRY_S", (0.02,)), ("STALE_S", 0.1), ("MISSING_S", 0.02)):
        monkeypatch.setattr(provider_module, name, seconds)


async def test_a_namespace_that_is_gone_holds_nobody_up() -> None:
    """Its RoleBinding goes with it: its lists answer 403 from then on."""
    client = Scripted(upstream("a"))
    client.refuses[OTHER], client.namespaces["other"] = 403, 404
    async with following(client, namespaces=NAMED) as told:
        await eventually(lambda: told.batches)
        assert told.port("a") == 80
        assert [informer.missing for informer in told.provider.informers] == [False, True]
        del client.refuses[OTHER], client.namespaces["other"]
        await eventually(lambda: not told.provider.informers[1].missing)


@pytest.mark.parametrize("status", [200, 403, 500])
async def test_a_namespace_that_may_not_be_read_is_not_gone(status: int) -> None:
    """Who knew it serves what it knew, and lives; who starts waits: there may be a policy in it."""
    client = Scripted(upstream("a"))
    async with following(client, namespaces=NAMED) as told:
        await eventually(lambda: told.batches)
        deaf = told.provider.informers[1]
        client.refuses[OTHER], client.namespaces["other"] = 403, status
        for _ in NAMED:
            client.events.put_nowait(ApiError(410, "too old"))
        await eventually(lambda: client.refused > 5)
        deaf.heard_at = 0.0
        await eventually(lambda: told.provider.blind() == [], claim="a process that starts anew would see no more")
        assert (told.port("a"), deaf.missing) == (80, False)
    async with following(client, namespaces=NAMED) as told:
        deaf = told.provider.informers[1]
        deaf.heard_at = 0.0
        await eventually(lambda: deaf.heard_at)
        assert told.batches == []


async def test_what_was_known_of_a_namespace_goes_with_it() -> None:
    client = Scripted(upstream("a"))
    async with following(client, namespaces=("shop",)) as told:
        await eventually(lambda: told.batches)
        client.refuses["/namespaces/shop/upstreams"], client.namespaces["shop"] = 403, 404
        client.events.put_nowait(ApiError(410, "too old"))
        await eventually(lambda: told.port("a") is None)
