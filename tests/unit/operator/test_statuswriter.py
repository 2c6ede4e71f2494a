"""What is written of statuses, how often, and what not."""

import asyncio
from dataclasses import replace

import pytest
from fastforward_compiler.problem import ObjectRef
from fastforward_operator.kubernetes import statuswriter
from fastforward_operator.kubernetes.client import ApiError
from fastforward_operator.kubernetes.payload import payload
from fastforward_operator.objectstatus import NOTHING

from support.eventually import eventually
from support.statuswriting import HTTP_ROUTE, ROUTE, THEN, Scripted, attached, entry, status, writing

_ALL = statuswriter.WRITERS + statuswriter.ALONE


async def test_a_status_is_applied_as_the_schema_has_it() -> None:
    client = Scripted()
    async with writing(client) as writer:
        writer.observe(ROUTE, status("True", "Programmed"))
        await eventually(lambda: client.applied)
    path, told = client.applied[0]
    assert path == "/apis/gateway.fastforward.dev/v1alpha1/namespaces/shop/routes/cart"
    assert told == {
        "observedGeneration": 1,
        "conditions": [
            {
                "type": "Programmed",
                "status": "True",
                "observedGeneration": 1,
                "reason": "Programmed",
                "message": "3/3 proxies have it.",
                "lastTransitionTime": "2026-01-02T03:04:05Z",
            }
        ],
        "proxies": "3/3",
        "effectivePolicies": ["AuthPolicy a"],
    }


async def test_proxies_that_came_or_went_are_told_once_their_number_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statuswriter, "RECOUNT_AFTER_S", 0.05)
    client = Scripted()
    others = [ObjectRef(kind="Route", namespace="shop", name=f"r{number}") for number in range(60)]
    async with writing(client) as writer:
        for ref in others:
            writer.observe(ref, status("True", "Programmed", ref=ref))
        await eventually(lambda: len(client.applied) == len(others))
        for count in ((2, 2), (2, 2), (3, 3)):
            writer.proxies = lambda _, count=count: count
            writer.recount()
        await asyncio.sleep(0.2)
        assert len(client.applied) == len(others), "it is again as it was"
        writer.proxies = lambda _: (2, 2)
        writer.recount()
        await eventually(lambda: len(client.applied) == 2 * len(others))
        again = [told for _, told in client.applied[len(others) :]]
        assert {told["proxies"] for told in again} == {"2/2"}
        assert {told["conditions"][0]["message"] for told in again} == {"2/2 proxies have it."}


async def test_what_waits_to_be_written_is_not_counted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statuswriter, "RECOUNT_AFTER_S", 0.0)
    client = Scripted()
    client.open.clear()
    others = [ObjectRef(kind="Route", namespace="shop", name=f"r{number}") for number in range(60)]
    async with writing(client) as writer:
        for ref in others:
            writer.observe(ref, status("True", "Programmed", ref=ref))
        await eventually(lambda: client.under_way == _ALL)
        asked: list[ObjectRef] = []

        def proxies(ref: ObjectRef) -> tuple[int, int]:
            asked.append(ref)
            return 2, 2

        writer.proxies = proxies
        writer.recount()
        await eventually(lambda: writer._recount is not None and writer._recount.done())
        assert asked == others[:_ALL], "only of those that are under way"
        client.open.set()
        await eventually(lambda: len(client.applied) >= len(others))
        assert {told["proxies"] for _, told in client.applied[_ALL:]} == {"2/2"}


async def test_all_is_looked_through_in_slices_when_a_process_may_write() -> None:
    """Otherwise its lease ends meanwhile, and all is looked through again."""
    client, leads = Scripted(), False
    refs = [replace(ROUTE, name=f"r{number}") for number in range(500)]
    async with writing(client, lambda: leads) as writer:
        for ref in refs:
            writer.observe(ref, status("True", "Programmed", ref=ref))
        await eventually(lambda: not writer._queue.qsize())
        asked: list[ObjectRef] = []

        def proxies(ref: ObjectRef) -> tuple[int, int]:
            asked.append(ref)
            return 3, 3

        writer.proxies, leads = proxies, True
        writer.write_all()
        most = 0
        while len(set(asked)) < len(refs):
            before = len(asked)
            await asyncio.sleep(0)
            most = max(most, len(asked) - before)
        assert most <= 2 * statuswriter._SLICE
        await eventually(lambda: len(client.applied) == len(refs))


async def test_what_is_on_its_way_is_written_once_it_has_arrived() -> None:
    client = Scripted()
    async with writing(client) as writer:
        for generation in range(1, 4):
            writer.observe(ROUTE, status("Unknown", "Pending", generation=generation))
            writer.observe(ROUTE, status("True", "Programmed", generation=generation))
            await eventually(lambda wanted=generation: client.generations()[-1:] == [wanted])
        assert client.generations() == [1, 2, 3]


async def test_what_stays_on_its_way_is_written_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statuswriter, "UNSETTLED_S", 0.05)
    client = Scripted()
    async with writing(client) as writer:
        writer.observe(ROUTE, status("Unknown", "Pending"))
        assert client.applied == []
        await eventually(lambda: client.applied)


@pytest.mark.parametrize("reason", ["NoProxies", "NoDecisionService"])
@pytest.mark.parametrize("before", ["Programmed", "EdgeNotFound"])
async def test_who_lacks_what_nobody_had_before_is_missed_at_once(
    before: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statuswriter, "RETURN_S", 0.0)
    client = Scripted()
    idle = status("True" if before == "Programmed" else "False", before)
    idle = replace(idle, conditions=(replace(idle.conditions[0], message=NOTHING),))
    other = replace(ROUTE, name="other")
    async with writing(client) as writer:
        # The first is still being written when the second comes.
        client.open.clear()
        writer.observe(ROUTE, idle)
        await asyncio.sleep(0)
        writer.observe(ROUTE, status("False", reason))
        client.open.set()
        await eventually(lambda: [told["conditions"][0]["reason"] for _, told in client.applied][-1:] == [reason])
        # Somebody who had it may be back in a moment, and what is on its way has often arrived then.
        writer.observe(other, status("True", "Programmed", ref=other))
        await eventually(lambda: client.applied[-1][0].endswith("other"))
        writer.observe(other, status("False", reason, ref=other))
        writer.observe(ROUTE, idle)
        await eventually(lambda: len(client.applied) == 4)
        writer.observe(ROUTE, status("Unknown", "Pending", generation=2))
        written = len(client.applied)
        await asyncio.sleep(0.05)
        assert len(client.applied) == written


async def test_who_is_missing_in_other_words_may_still_be_back_in_a_moment() -> None:
    client = Scripted()
    async with writing(client) as writer:
        for reason in ("NoDecisionService", "NoProxies", "NoProxies"):
            writer.observe(ROUTE, status("False", reason))
            await asyncio.sleep(0.01)
        assert client.applied == []
        writer.observe(ROUTE, status("True", "Programmed"))
        await eventually(lambda: client.applied)
        assert [told["conditions"][-1]["reason"] for _, told in client.applied] == ["Programmed"]


async def test_while_one_is_written_only_the_latest_of_the_next_is_kept() -> None:
    client = Scripted()
    client.open.clear()
    async with writing(client) as writer:
        for generation in range(1, 50):
            writer.observe(ROUTE, status("True", "Programmed", generation=generation))
            await asyncio.sleep(0)
        client.open.set()
        await eventually(lambda: client.generations()[-1:] == [49])
        assert len(client.applied) <= 2


async def test_a_status_that_is_there_already_is_not_written_again() -> None:
    client = Scripted()
    told = status("True", "Programmed")
    other = ObjectRef(kind="Route", namespace="shop", name="other")
    async with writing(client) as writer:
        writer.recall(ROUTE, payload(told, (3, 3), {}, THEN), "1")
        writer.observe(ROUTE, told)
        writer.observe(other, told)
        await eventually(lambda: client.applied)
        assert [path.rpartition("/")[2] for path, _ in client.applied] == ["other"]
        assert writer.since(ROUTE, "Programmed", "True") == THEN
        assert writer.since(ROUTE, "Programmed", "False") is None


async def test_a_write_that_fails_is_tried_again_with_what_is_true_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statuswriter, "_RETRY_S", 0.02)
    client = Scripted()
    client.failures = [ApiError(500, "not now")]
    async with writing(client) as writer:
        writer.observe(ROUTE, status("True", "Programmed"))
        await eventually(lambda: not client.failures)
        writer.observe(ROUTE, status("True", "Programmed", generation=2))
        await eventually(lambda: client.generations() == [2])


async def test_an_object_that_is_gone_is_forgotten() -> None:
    client = Scripted()
    client.failures = [ApiError(404, "not found")]
    async with writing(client) as writer:
        writer.observe(ROUTE, status("True", "Programmed"))
        await eventually(lambda: not client.failures)
        writer.observe(ROUTE, None)
        writer.observe(ObjectRef(kind="Secret", namespace="shop", name="s"), status("True", "Programmed"))
        other = ObjectRef(kind="Route", namespace="shop", name="other")
        writer.observe(other, status("True", "Programmed"))
        await eventually(lambda: client.applied)
        assert len(client.applied) == 1


async def test_who_takes_over_writes_what_the_last_leader_said_otherwise_and_only_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(statuswriter, "UNSETTLED_S", 0.05)
    client, leads = Scripted(), asyncio.Event()
    good, bad = status("True", "Programmed"), status("False", "Rejected")
    same, pending = (ObjectRef(kind="Route", namespace="shop", name=name) for name in ("same", "pending"))
    async with writing(client, leads.is_set) as writer:
        for ref in (ROUTE, same):
            writer.recall(ref, payload(good, (3, 3), {}, THEN), "1")
            writer.observe(ref, good)
        writer.observe(pending, status("Unknown", "Pending"))
        # The last leader says something else; what it said first is no longer there.
        writer.recall(ROUTE, payload(bad, (3, 3), {}, THEN), "2")
        leads.set()
        writer.write_all()
        await eventually(lambda: len(client.applied) == 2)
        assert {path.rpartition("/")[2] for path, _ in client.applied} == {"cart", "pending"}
        # What comes back late is not believed.
        writer.recall(ROUTE, payload(bad, (3, 3), {}, THEN), "2")
        assert writer.since(ROUTE, "Programmed", "False") is None


async def test_what_other_controllers_said_meanwhile_is_not_overwritten() -> None:
    client = Scripted()
    async with writing(client) as writer:
        writer.recall(HTTP_ROUTE, {"parents": [entry("theirs", reason="Pending")]}, "1")
        writer.observe(HTTP_ROUTE, attached())
        await eventually(lambda: client.applied)
        ours = client.applied[-1][1]["parents"][0]
        writer.recall(HTTP_ROUTE, {"parents": [ours, entry("theirs"), entry("third")]}, "11")
        writer.observe(HTTP_ROUTE, replace(attached(), generation=2))
        await eventually(lambda: len(client.applied) == 2)
        assert client.applied[-1][1]["parents"][1:] == [entry("theirs"), entry("third")]


async def test_what_leaves_us_keeps_nothing_of_ours() -> None:
    client = Scripted()
    async with writing(client) as writer:
        writer.recall(HTTP_ROUTE, {"parents": [entry("theirs")]}, "1")
        writer.observe(HTTP_ROUTE, attached())
        await eventually(lambda: client.applied)
        writer.observe(HTTP_ROUTE, None)
        await eventually(lambda: len(client.applied) == 2)
        assert client.applied[-1][1] == {"parents": [entry("theirs")]}
        # And it may come again.
        writer.observe(HTTP_ROUTE, attached())
        await eventually(lambda: len(client.applied) == 3)
        assert [each["parentRef"]["name"] for each in client.applied[-1][1]["parents"]] == ["ours", "theirs"]


async def test_of_what_was_deleted_nothing_is_said_or_kept() -> None:
    client = Scripted()
    other = ObjectRef(kind="HTTPRoute", namespace="shop", name="other")
    async with writing(client) as writer:
        writer.recall(HTTP_ROUTE, {"parents": [entry("theirs")]}, "1")
        writer.observe(HTTP_ROUTE, attached())
        await eventually(lambda: client.applied)
        writer.recall(HTTP_ROUTE, None, "")
        writer.observe(HTTP_ROUTE, None)
        writer.observe(other, replace(attached(), ref=other))
        await eventually(lambda: len(client.applied) == 2)
        assert [path.rpartition("/")[2] for path, _ in client.applied] == ["cart", "other"]
        assert set(writer._there) == {other}


async def test_what_others_say_is_known_when_an_object_becomes_ours() -> None:
    client = Scripted()
    async with writing(client) as writer:
        writer.recall(HTTP_ROUTE, {"parents": [entry("theirs")]}, "1")
        writer.observe(HTTP_ROUTE, None)
        writer.observe(HTTP_ROUTE, attached())
        await eventually(lambda: client.applied)
        assert client.applied[-1][1]["parents"][1:] == [entry("theirs")]


async def test_a_write_is_about_the_version_that_is_known() -> None:
    client = Scripted()
    async with writing(client) as writer:
        writer.recall(ROUTE, {}, "7")
        for generation in (1, 2):
            writer.observe(ROUTE, status("True", "Programmed", generation=generation))
            await eventually(lambda wanted=generation: client.generations()[-1:] == [wanted])
        writer.recall(ROUTE, None, "")
        writer.observe(ROUTE, status("True", "Programmed", generation=3))
        await eventually(lambda: client.generations() == [1, 2, 3])
    assert client.versions == ["7", "10", ""]


async def test_what_somebody_else_changed_is_written_when_that_is_known() -> None:
    client = Scripted()
    client.failures = [ApiError(409, "modified")]
    async with writing(client) as writer:
        writer.recall(ROUTE, {}, "7")
        writer.observe(ROUTE, status("True", "Programmed"))
        await eventually(lambda: not client.failures)
        writer.recall(ROUTE, {"proxies": "0/0"}, "8")
        async with asyncio.timeout(statuswriter._RETRY_S / 2):
            await eventually(lambda: client.applied)
    assert client.versions == ["8"]


async def test_of_an_object_that_goes_while_it_is_refused_nothing_is_kept() -> None:
    client = Scripted()
    client.failures = [ApiError(409, "modified")]
    async with writing(client) as writer:
        writer.recall(ROUTE, {}, "7")
        writer.observe(ROUTE, status("True", "Programmed"))
        await eventually(lambda: writer._refused)
        writer.observe(ROUTE, None)
        writer.recall(ROUTE, None, "")
        assert (writer._refused, writer._there, writer._versions, writer._wanted) == (set(), {}, {}, {})


async def test_an_operator_that_comes_back_misses_nobody_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statuswriter, "UNSETTLED_S", 0.01)
    monkeypatch.setattr(statuswriter, "RETURN_S", 0.3)
    client, missing = Scripted(), status("False", "NoProxies")
    new, idle = replace(ROUTE, name="new"), replace(ROUTE, name="idle")
    nothing = replace(status("True", "Programmed").conditions[-1], message=NOTHING)
    async with writing(client) as writer:
        writer.recall(ROUTE, payload(status("True", "Programmed"), (2, 2), {}, THEN), "5")
        writer.recall(idle, payload(replace(missing, conditions=(nothing,)), (0, 0), {}, THEN), "6")
        writer.write_all()
        for ref in (ROUTE, new, idle):
            writer.observe(ref, replace(missing, ref=ref))
        await eventually(lambda: client.applied)
        await asyncio.sleep(0.1)
        assert [path.rpartition("/")[2] for path, _ in client.applied] == ["idle"], "the one that nobody had"
        # Whoever does not come is missed after all.
        await eventually(lambda: len(client.applied) == 3)
        assert {told["conditions"][-1]["reason"] for _, told in client.applied} == {"NoProxies"}


async def test_proxies_are_awaited_from_when_there_is_something_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """A first compile may take longer than the wait for proxies."""
    monkeypatch.setattr(statuswriter, "UNSETTLED_S", 0.01)
    monkeypatch.setattr(statuswriter, "RETURN_S", 0.3)
    client = Scripted()
    async with writing(client) as writer:
        writer.write_all()
        await asyncio.sleep(0.35)
        writer.observe(ROUTE, status("False", "NoProxies"))
        await asyncio.sleep(0.1)
        assert client.applied == []
        writer.observe(ROUTE, status("True", "Programmed"))
        await eventually(lambda: client.applied)
        assert [told["conditions"][-1]["reason"] for _, told in client.applied] == ["Programmed"]


async def test_a_new_version_that_nobody_has_is_told_at_once_also_by_one_that_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(statuswriter, "UNSETTLED_S", 0.01)
    client = Scripted()
    async with writing(client) as writer:
        writer.recall(ROUTE, payload(status("True", "Programmed"), (2, 2), {}, THEN), "5")
        writer.write_all()
        writer.observe(ROUTE, status("False", "NoProxies", generation=2))
        await eventually(lambda: client.generations() == [2])
