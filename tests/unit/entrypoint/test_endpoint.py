"""The decision endpoint without a socket: what Envoy asks becomes a decision, and that an answer Envoy understands."""

import asyncio
import json
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace

import pytest
from fastforward_entrypoint import endpoint as endpoints
from fastforward_entrypoint.answer import FAILED, JUDGED, MOST_BYTES, TOO_LONG, answer_decision
from fastforward_entrypoint.ask import parse_request
from fastforward_entrypoint.counters import InProcessCounterStore
from fastforward_entrypoint.endpoint import DecisionEndpoint
from fastforward_entrypoint.ends import Ends
from fastforward_entrypoint.measures import Measures
from fastforward_kit.http import Request, Response
from fastforward_kit.telemetry import exposition
from fastforward_pipeline import Answer, Decision, Snapshot, TakeTokens, Unavailable, Verdict
from fastforward_pipeline.effects import Effect, GiveBack
from prometheus_client import CollectorRegistry

from support.decision_world import Key, asking, limit, make_key, world

KEY = make_key("acme")
DECISION = Decision(allowed=True, status=200)


@dataclass
class Held:
    current: Snapshot


@dataclass
class Scripted:
    """A counter store that answers as told."""

    answer: Callable[[TakeTokens], Answer | asyncio.Future[Answer]]
    asked: list[TakeTokens] = field(default_factory=list)

    def take(self, effect: TakeTokens) -> Answer | asyncio.Future[Answer]:
        self.asked.append(effect)
        return self.answer(effect)


def snapshot(*, burst: int = 2, fail_open: bool = False, keys: tuple[Key, ...] = (KEY,)) -> Snapshot:
    return Snapshot.empty().apply(world(*keys, limits=[limit("shop/by-tenant", burst=burst, fail_open=fail_open)]))


@dataclass
class Under:
    endpoint: DecisionEndpoint
    registry: CollectorRegistry

    def ask(self, key: Key | None = KEY, *, method: str = "GET", **headers: str) -> Response:
        response = self.endpoint(request(key, method=method, **headers))
        assert isinstance(response, Response)
        return response


def endpoint(held: Snapshot, store: Scripted | InProcessCounterStore | None = None) -> Under:
    registry = CollectorRegistry()
    counters = store or InProcessCounterStore(clock=lambda: 0.0)
    made = DecisionEndpoint(Held(held), counters, Measures(registry), clock=lambda: 1_800_000_000.0)
    return Under(made, registry)


def request(key: Key | None = KEY, *, method: str = "GET", **headers: str) -> Request:
    sent = {"host": "shop.example", **asking(key, **headers)}
    return Request(method, "/books?page=2", {name: (value,) for name, value in sent.items() if value})


def test_an_allowed_request_goes_on_with_the_identity_written_by_us() -> None:
    answer = endpoint(snapshot()).ask()
    assert (answer.status, answer.body) == (200, b"")
    headers = dict(answer.headers)
    assert headers["x-ff-tenant"] == "acme"
    assert headers["x-ff-subject"] == "robot"
    assert headers["x-ff-key"] == KEY.stored.id
    assert headers["x-ff-table"] == "-"
    assert (headers["x-ratelimit-limit"], headers["x-ratelimit-remaining"]) == ("2", "1")


def test_a_refused_caller_gets_a_problem_document_and_a_challenge() -> None:
    answer = endpoint(snapshot()).ask(None)
    headers = dict(answer.headers)
    assert (answer.status, headers["content-type"]) == (401, "application/problem+json")
    assert headers["www-authenticate"] == 'ApiKey realm="shop.example"'
    assert headers["x-ff-reason"] == "authentication/key-missing"
    problem = json.loads(answer.body)
    assert (problem["status"], problem["stage"], problem["reason"]) == (401, "authentication", "key-missing")
    assert problem["requestId"] == asking()["x-request-id"]


def test_a_grpc_caller_is_told_in_a_sentence_what_becomes_its_grpc_message() -> None:
    answer = endpoint(snapshot()).ask(None, content_type="application/grpc+proto")
    assert (dict(answer.headers)["content-type"], answer.body) == ("text/plain", b"An API key is needed")


def test_an_exhausted_limit_says_when_to_come_back_and_whose_it_was() -> None:
    under = endpoint(snapshot(burst=1))
    assert under.ask().status == 200
    answer = under.ask()
    headers = dict(answer.headers)
    assert (answer.status, headers["x-ff-reason"], headers["x-ff-tenant"]) == (429, "ratelimit/exceeded", "acme")
    assert (headers["retry-after"], headers["x-ratelimit-remaining"]) == ("3600", "0")


@pytest.mark.parametrize(("announced", "status"), [("0" * 5000, 200), ("9" * 5000, 200), ("\xb2", 200)])
def test_no_length_is_too_long_to_be_read(announced: str, status: int) -> None:
    assert endpoint(snapshot()).ask(x_ff_body_bytes=announced).status == status


def test_an_answer_that_the_proxy_would_not_take_is_no() -> None:
    decision = replace(DECISION, response_headers=(("x", "\xff" * (MOST_BYTES // 2)),))
    assert answer_decision(decision, content_type="") is TOO_LONG
    assert answer_decision(DECISION, content_type="").status == 200


def test_a_place_is_free_again_when_the_answer_is_one_that_the_proxy_would_not_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = GiveBack("{shop/at-once}0a1b@once", "d3adb33f-7")
    for origin, given_back in (("https://shop.example", []), ("x" * MOST_BYTES, [TakeTokens((place,))])):
        store = Scripted(lambda _: Verdict(()))
        under = endpoint(snapshot())
        under.endpoint.ends = Ends(store, under.registry)
        allowed = replace(DECISION, ends=(place,), response_headers=(("access-control-allow-origin", origin),))
        monkeypatch.setattr(endpoints, "decide", lambda *_, said=allowed: deciding(said))
        assert (under.ask() is TOO_LONG) is bool(given_back)
        assert store.asked == given_back


def deciding(decision: Decision) -> Generator[Effect, Answer, Decision]:
    """A decision that nothing has to be asked for."""
    if not decision.status:
        yield TakeTokens(())
    return decision


def test_a_plan_that_is_not_known_here_is_refused_whatever_the_fail_mode() -> None:
    answer = endpoint(snapshot()).ask(x_ff_plan="another")
    assert (answer.status, json.loads(answer.body)["reason"]) == (JUDGED, "plan-unknown")


def test_a_request_without_a_plan_is_never_matched_by_ourselves() -> None:
    answer = endpoint(snapshot()).ask(x_ff_plan="")
    assert (answer.status, json.loads(answer.body)["reason"]) == (JUDGED, "plan-unknown")


@pytest.mark.parametrize(("fail_open", "status"), [(True, 200), (False, JUDGED)])
def test_when_nobody_counts_the_limits_own_fail_mode_holds(*, fail_open: bool, status: int) -> None:
    store = Scripted(lambda _: Unavailable())
    answer = endpoint(snapshot(fail_open=fail_open), store).ask()
    assert answer.status == status
    assert len(store.asked) == 1


def test_a_caller_that_is_refused_before_is_not_counted() -> None:
    store = Scripted(lambda _: Unavailable())
    assert endpoint(snapshot(), store).ask(make_key("acme")).status == 401
    assert store.asked == []


async def test_counters_that_take_time_are_waited_for_without_holding_up_others() -> None:
    loop = asyncio.get_running_loop()
    waits: list[asyncio.Future[Answer]] = []

    def later(_: TakeTokens) -> asyncio.Future[Answer]:
        waits.append(loop.create_future())
        return waits[-1]

    under = endpoint(snapshot(), Scripted(later))
    answers = [promised(under.endpoint(request())) for _ in range(3)]
    assert under.ask(None).status == 401
    waits[2].set_result(Unavailable())
    assert (await answers[2]).status == JUDGED
    assert not answers[0].done()
    waits[1].set_result(Verdict(()))  # for other buckets than asked: a defect, which lets nobody pass
    assert await answers[1] is FAILED
    waits[0].set_result(Unavailable())
    assert (await answers[0]).status == JUDGED


def promised(answer: Response | asyncio.Future[Response]) -> asyncio.Future[Response]:
    assert isinstance(answer, asyncio.Future)
    return answer


async def test_a_decision_that_waited_is_like_any_other() -> None:
    wait: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
    buckets = InProcessCounterStore(clock=lambda: 0.0)
    store = Scripted(lambda _: wait)
    answer = promised(endpoint(snapshot(), store).endpoint(request()))
    verdict = buckets.take(store.asked[0])
    assert isinstance(verdict, Verdict)
    wait.set_result(verdict)
    response = await answer
    assert (response.status, dict(response.headers)["x-ratelimit-remaining"]) == (200, "1")


async def test_a_decision_whose_answer_was_taken_away_is_given_all_the_same() -> None:
    wait: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
    answer = promised(endpoint(snapshot(), Scripted(lambda _: wait)).endpoint(request()))
    wait.cancel()
    async with asyncio.timeout(5):
        assert await answer is FAILED


def test_decisions_are_counted_by_stage_and_reason() -> None:
    under = endpoint(snapshot(burst=1))
    for key in (KEY, KEY, None, None):
        under.ask(key)
    under.ask(x_ff_plan="another")
    text = exposition(under.registry).decode()
    for labels, count in (
        ('reason="",stage="",verdict="allowed"', 1),
        ('reason="exceeded",stage="ratelimit",verdict="refused"', 1),
        ('reason="key-missing",stage="authentication",verdict="refused"', 2),
        ('reason="plan-unknown",stage="routing",verdict="refused"', 1),
    ):
        assert f"fastforward_decisions_total{{{labels}}} {count}.0" in text
    assert "fastforward_decision_seconds_count 5.0" in text


def test_what_envoy_knows_reaches_the_pipeline() -> None:
    asked = Request(
        "POST",
        "/a%2Fb?q=1",
        {
            "host": ("Shop.Example:8080",),
            "x-ff-plan": ("p",),
            "x-ff-scope": ("shop/public|shop.example",),
            "x-ff-listener": ("https",),
            "x-ff-address": ("203.0.113.7",),
            "x-ff-peer": ("10.0.0.1",),
            "x-ff-body-bytes": ("12",),
            "x-request-id": ("r-1",),
            "x-forwarded-proto": ("https",),
            "accept": ("a", "b"),
        },
    )
    made = parse_request(asked, now=7.0)
    assert (made.method, made.host, made.path, made.scheme) == ("POST", "Shop.Example:8080", "/a%2Fb?q=1", "https")
    assert (made.plan, made.edge, made.listener) == ("p", "shop/public", "https")
    assert (made.address, made.peer, made.body_bytes, made.request_id) == ("203.0.113.7", "10.0.0.1", 12, "r-1")
    assert (made.now, made.header("accept")) == (7.0, "a,b")


@pytest.mark.parametrize("length", ["", "-1", "1e3", "\u0663", "1,1"])
def test_a_body_length_that_is_none_counts_as_unknown(length: str) -> None:
    assert parse_request(Request("GET", "/", {"x-ff-body-bytes": (length,)}), now=0.0).body_bytes is None
