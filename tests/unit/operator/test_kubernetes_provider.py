"""Informers: what they tell of lists and watches that are good, and of those that are not."""

import asyncio
from typing import Any

import fastforward_crds as crds
import pytest
from fastforward_compiler.problem import ObjectRef
from fastforward_operator.kubernetes.client import ApiError, Event
from fastforward_operator.providers import kubernetes as provider_module
from fastforward_operator.providers.kubernetes import KubernetesProvider, Watched

from support.eventually import eventually
from support.informing import SECRETS, UPSTREAMS, Scripted, Told, following, ref, secret, upstream


async def test_the_first_batch_is_everything_page_by_page() -> None:
    client = Scripted(*(upstream(f"u{number}") for number in range(5)))
    async with following(client) as told:
        await eventually(lambda: told.batches)
        assert set(told.batches[0].changes) == {ref(f"u{number}") for number in range(5)}
        assert client.lists == 1


async def test_nothing_is_told_before_every_kind_is_listed() -> None:
    client = Scripted(upstream("a"))
    client.refuses["/secrets"] = 500
    async with following(client, UPSTREAMS, SECRETS) as told:
        await eventually(told.provider.informers[0].listed.is_set)
        assert told.batches == []
        client.objects = []
        del client.refuses["/secrets"]
        await eventually(lambda: told.batches)


async def test_a_kind_without_definition_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider_module, "MISSING_S", 0.05)
    client = Scripted(upstream("a"))
    client.refuses["/secrets"] = 404
    async with following(client, UPSTREAMS, SECRETS) as told:
        await eventually(lambda: told.batches)
        assert [informer.missing for informer in told.provider.informers] == [False, True]
        del client.refuses["/secrets"]
        await eventually(lambda: not told.provider.informers[1].missing)


async def test_a_kind_of_the_cluster_is_listed_once_and_may_be_forbidden_where_namespaces_are_named() -> None:
    client = Scripted(upstream("a"))
    client.refuses["/namespaces"] = 403
    watched = (UPSTREAMS, Watched("", "namespaces", "v1", "Namespace", generations=False))
    told = Told(KubernetesProvider(client, watched=watched, namespaces=("shop", "other")))
    paths = [informer.path for informer in told.provider.informers]
    assert paths == ["/namespaces/shop/upstreams", "/namespaces/other/upstreams", "/namespaces"]
    task = asyncio.create_task(told.follow())
    await eventually(lambda: told.batches)
    assert [informer.missing for informer in told.provider.informers] == [False, False, True]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("status", [403, 404])
async def test_a_kind_that_was_there_is_not_gone_because_that_is_said_for_a_moment(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(provider_module, "_RETRY_S", (0.02,))
    monkeypatch.setattr(provider_module, "STALE_S", 0.3)
    client = Scripted(upstream("a"))
    async with following(client) as told:
        await eventually(lambda: told.batches)
        client.refuses["/upstreams"] = status
        client.events.put_nowait(ApiError(410, "too old"))
        await eventually(lambda: client.refused > 3)
        assert (told.port("a"), told.provider.informers[0].missing) == (80, False)
        del client.refuses["/upstreams"]
        await eventually(lambda: client.lists == 2)
        assert told.port("a") == 80
        client.refuses["/upstreams"] = status
        client.events.put_nowait(ApiError(410, "too old"))
        if status == 404:
            await eventually(lambda: told.port("a") is None)
            assert told.provider.informers[0].missing
        else:
            before = client.refused
            await eventually(lambda: client.refused > before + 30)
            assert told.port("a") == 80, "what may not be read is not gone"


async def test_a_kind_of_the_cluster_that_may_not_be_read_for_a_moment_is_not_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(provider_module, "_RETRY_S", (0.02,))
    client = Scripted(upstream("a"))
    client.refuses["/namespaces"] = 403
    watched = (UPSTREAMS, Watched("", "namespaces", "v1", "Namespace", generations=False))
    async with following(client, *watched) as told:
        await eventually(lambda: client.refused > 3)
        assert told.batches == [], "where all namespaces are watched, it is known how they are labelled or nothing is"


async def test_changes_come_as_they_happen_and_a_status_is_none() -> None:
    client = Scripted(upstream("a"))
    async with following(client) as told:
        await eventually(lambda: told.batches)
        client.events.put_nowait(Event("MODIFIED", upstream("a", generation=1, version=102, port=99)))
        client.events.put_nowait(Event("MODIFIED", upstream("a", generation=2, version=103, port=81)))
        client.events.put_nowait(Event("ADDED", upstream("b", version=104)))
        await eventually(lambda: told.port("a") == 81 and told.port("b") == 80)
        client.events.put_nowait(Event("DELETED", upstream("b", version=105)))
        await eventually(lambda: told.port("b") is None)
        assert all(batch.world for batch in told.batches)
        assert len({batch.world for batch in told.batches}) == len(told.batches)


async def test_a_secret_changes_with_its_version() -> None:
    client = Scripted(secret("s", 1))
    async with following(client, SECRETS) as told:
        await eventually(lambda: told.batches)
        client.events.put_nowait(Event("MODIFIED", secret("s", 102)))
        await eventually(lambda: len(told.batches) == 2)


async def test_a_watch_that_ends_goes_on_where_it_was() -> None:
    client = Scripted(upstream("a"))
    async with following(client):
        client.events.put_nowait(Event("BOOKMARK", {"metadata": {"resourceVersion": "250"}}))
        client.events.put_nowait(None)
        await eventually(lambda: client.watched_from == ["100", "250"])
        assert client.lists == 1


@pytest.mark.parametrize(
    "error", [ApiError(410, "too old"), TimeoutError(), KeyError("uid")], ids=["too old", "blind", "defect"]
)
async def test_what_a_watch_lost_is_found_by_the_next_list(error: Exception) -> None:
    client = Scripted(upstream("a"), upstream("b"), upstream("c"))
    async with following(client) as told:
        await eventually(lambda: told.batches)
        client.objects = [upstream("a"), upstream("c", generation=2, port=82), upstream("d")]
        client.events.put_nowait(error)
        await eventually(lambda: told.port("d") == 80)
        await eventually(lambda: (told.port("b"), told.port("c")) == (None, 82))
        again = {object_ref for batch in told.batches[1:] for object_ref in batch.changes}
        assert again == {ref("b"), ref("c"), ref("d")}, "what is as it was is not told again"


async def test_a_kind_of_which_nothing_is_heard_is_blind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider_module, "BLIND_S", 0.05)
    client = Scripted()
    bookmark = Event("BOOKMARK", {"metadata": {"resourceVersion": "250"}})
    async with following(client, UPSTREAMS, SECRETS) as told:
        await eventually(lambda: told.batches)
        upstreams, secrets = told.provider.informers
        await asyncio.sleep(0.1)
        assert told.provider.blind() == [], "nothing is heard at all: the API server is away"
        client.events.put_nowait(bookmark)
        await eventually(lambda: len(told.provider.blind()) == 1)
        deaf = upstreams if told.provider.blind() == ["Upstream"] else secrets
        deaf.heard_at = max(upstreams.heard_at, secrets.heard_at)
        assert told.provider.blind() == []


async def test_a_document_that_is_no_resource_is_told_as_such() -> None:
    bad = upstream("a")
    bad["spec"] = {"endpoint": 1}
    async with following(Scripted(bad)) as told:
        await eventually(lambda: told.batches)
        found = told.objects[ref("a")]
        assert isinstance(found, crds.Invalid)
        assert found.errors


async def test_statuses_that_are_there_at_the_start_are_handed_on() -> None:
    heard: list[tuple[ObjectRef, Any, str]] = []
    client = Scripted({**upstream("a"), "status": {"proxies": "1/1"}})
    async with following(client, on_status=lambda *told: heard.append(told)) as told:
        await eventually(lambda: told.batches)
        assert heard == [(ref("a"), {"proxies": "1/1"}, "1")]


async def test_only_the_namespaces_that_are_named_are_watched() -> None:
    provider = KubernetesProvider(Scripted(), namespaces=("shop", "bank"), watched=(UPSTREAMS,))
    assert [informer.path for informer in provider.informers] == [
        "/namespaces/shop/upstreams",
        "/namespaces/bank/upstreams",
    ]


async def test_an_object_that_goes_has_no_status_any_more() -> None:
    heard: list[tuple[ObjectRef, Any, str]] = []
    client = Scripted({**upstream("a"), "status": {"proxies": "1/1"}})
    async with following(client, on_status=lambda *told: heard.append(told)) as told:
        await eventually(lambda: told.batches)
        client.events.put_nowait(Event("DELETED", {**upstream("a", version=102), "status": {"proxies": "1/1"}}))
        await eventually(lambda: told.port("a") is None)
        assert [status for _, status, _ in heard] == [{"proxies": "1/1"}, None]


async def test_a_status_that_somebody_else_writes_is_handed_on_and_is_no_change() -> None:
    heard: list[tuple[ObjectRef, Any, str]] = []
    client = Scripted(upstream("a"))
    async with following(client, on_status=lambda *told: heard.append(told)) as told:
        await eventually(lambda: told.batches)
        client.events.put_nowait(Event("MODIFIED", {**upstream("a", version=102), "status": {"proxies": "2/2"}}))
        await eventually(lambda: heard == [(ref("a"), {}, "1"), (ref("a"), {"proxies": "2/2"}, "102")])
        assert len(told.batches) == 1


async def test_what_comes_twice_or_too_late_changes_nothing() -> None:
    client = Scripted(upstream("a"))
    async with following(client) as told:
        await eventually(lambda: told.batches)
        newest = Event("MODIFIED", upstream("a", generation=3, version=103, port=83))
        client.events.put_nowait(newest)
        client.events.put_nowait(Event("MODIFIED", upstream("a", generation=2, version=102, port=82)))
        client.events.put_nowait(newest)
        # Something that was there, was listed, and is gone.
        client.events.put_nowait(Event("ADDED", upstream("old", version=99)))
        client.events.put_nowait(Event("ADDED", upstream("b", version=104)))
        client.events.put_nowait(Event("DELETED", upstream("b", version=106)))
        client.events.put_nowait(Event("MODIFIED", upstream("b", generation=2, version=105)))
        client.events.put_nowait(Event("ADDED", upstream("last", version=107)))
        await eventually(lambda: told.port("last") == 80)
        assert (told.port("a"), told.port("b"), told.port("old")) == (83, None, None)
        client.events.put_nowait(None)
        await eventually(lambda: client.watched_from == ["100", "107"])


async def test_a_list_from_before_is_not_believed_unless_it_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider_module, "STALE_S", 1.0)
    monkeypatch.setattr(provider_module, "_RETRY_S", (0.02,))
    heard: list[tuple[ObjectRef, Any, str]] = []
    client = Scripted(upstream("a"))
    async with following(client, on_status=lambda *said: heard.append(said)) as told:
        await eventually(lambda: told.batches)
        client.events.put_nowait(Event("ADDED", upstream("b", version=150)))
        await eventually(lambda: told.port("b") == 80)
        client.events.put_nowait(ApiError(410, "too old"))
        await eventually(lambda: client.lists >= 4)
        assert told.port("b") == 80
        client.version = "151"
        client.objects.append(upstream("b", version=150))
        await eventually(lambda: client.watched_from == ["100", "151"])
        assert told.port("b") == 80
        # An API server that was restored from a backup.
        client.version, client.objects = "90", [upstream("a")]
        client.events.put_nowait(ApiError(410, "too old"))
        await eventually(lambda: told.port("b") is None)
        assert (ref("a"), None, "") in heard, "whoever knows a newer version forgets it"


async def test_a_generation_that_is_given_again_after_a_backup_is_read_again() -> None:
    before = upstream("a", generation=4, version=60)
    before["metadata"]["managedFields"] = [
        {"manager": "kubectl", "time": "2026-01-01T00:00:00Z"},
        {"manager": "fastforward", "time": "2026-01-01T00:00:01Z", "subresource": "status"},
    ]
    client = Scripted(before)
    async with following(client) as told:
        await eventually(lambda: told.batches)
        judged = upstream("a", generation=4, version=101)
        judged["metadata"]["managedFields"] = [
            before["metadata"]["managedFields"][0],
            {"manager": "fastforward", "time": "2026-01-01T00:00:09Z", "subresource": "status"},
        ]
        client.events.put_nowait(Event("MODIFIED", judged))
        again = upstream("a", generation=4, version=102, port=81)
        again["metadata"]["managedFields"] = [{"manager": "argocd", "time": "2026-01-02T00:00:00Z"}]
        client.events.put_nowait(Event("MODIFIED", again))
        await eventually(lambda: told.port("a") == 81)
        assert len(told.batches) == 2, "a status alone is no change"


async def test_a_watch_that_is_always_too_old_keeps_no_api_server_busy() -> None:
    client = Scripted(upstream("a"))
    for _ in range(100):
        client.events.put_nowait(ApiError(410, "too old"))
    async with following(client) as told:
        await eventually(lambda: told.batches)
        await asyncio.sleep(0.5)
        assert client.lists <= 4
