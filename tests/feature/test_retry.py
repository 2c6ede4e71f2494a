"""Failed requests are tried again: when, how often, where, and within a budget."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.gateway import Gateway, until
from support.origin import Received, Reply
from support.processes import free_port
from support.resources import Document, exact, route, rule, upstream


class Failing:
    """Fails so many times, then answers 200."""

    def __init__(self, times: int, reply: Reply) -> None:
        self._left, self._reply = times, reply

    def __call__(self, _: Received) -> Reply:
        self._left -= 1
        return self._reply if self._left >= 0 else Reply()


@pytest.mark.parametrize(
    ("on", "reply"),
    [
        ("5xx", Reply(status=500)),
        ("5xx", Reply(status=503)),
        ("gateway-error", Reply(status=502)),
        ("gateway-error", Reply(status=503)),
        ("reset", Reply(hang_up=True)),
        ("retriable-4xx", Reply(status=409)),
        ("unavailable", Reply(headers=(("grpc-status", "14"),))),
        ("resource-exhausted", Reply(headers=(("grpc-status", "8"),))),
    ],
)
def test_what_the_rule_names_is_tried_again(gateway: Gateway, on: str, reply: Reply) -> None:
    origin = gateway.upstream("books", Failing(2, reply))
    gateway.apply(route("books", rule(to="books", retry={"attempts": 2, "retryOn": [on], "backoff": "1ms"})))
    answer = gateway.get()
    assert (answer.status, len(origin.received)) == (200, 3)
    assert gateway.log_line(answer)["attempts"] == 3


@pytest.mark.parametrize(
    ("on", "status"), [("gateway-error", 500), ("5xx", 404), ("connect-failure", 503), ("retriable-4xx", 404)]
)
def test_what_the_rule_does_not_name_is_not_tried_again(gateway: Gateway, on: str, status: int) -> None:
    origin = gateway.upstream("books", Failing(1, Reply(status=status)))
    gateway.apply(route("books", rule(to="books", retry={"attempts": 2, "retryOn": [on]})))
    assert (gateway.get().status, len(origin.received)) == (status, 1)


@pytest.mark.parametrize(("hedge", "status"), [(True, 200), (False, 504)])
def test_a_hedged_try_goes_on_beside_the_next_one(gateway: Gateway, hedge: bool, status: int) -> None:
    origin = gateway.upstream("books")
    retry = {"attempts": 1, "retryOn": ["5xx"], "perTryTimeout": "100ms", "backoff": "1ms", "hedge": hedge}
    gateway.apply(route("books", rule(to="books", retry=retry)))
    with ThreadPoolExecutor() as pool:
        with origin.held():
            asked = pool.submit(gateway.get)
            until(lambda: len(origin.received) == 2)
            time.sleep(0.3)  # Longer than both tries may take: without hedging it is over by now.
        assert asked.result().status == status


def test_without_retries_a_failure_is_the_answer(gateway: Gateway) -> None:
    origin = gateway.upstream("books", Failing(1, Reply(status=503)))
    gateway.apply(route("books", rule(to="books")))
    assert (gateway.get().status, len(origin.received)) == (503, 1)


def test_after_the_last_attempt_the_failure_is_the_answer(gateway: Gateway) -> None:
    origin = gateway.upstream("books", Failing(99, Reply(status=503)))
    gateway.apply(route("books", rule(to="books", retry={"attempts": 3, "retryOn": ["5xx"], "backoff": "1ms"})))
    assert (gateway.get().status, len(origin.received)) == (503, 4)


def test_the_body_is_sent_again(gateway: Gateway) -> None:
    origin = gateway.upstream("books", Failing(1, Reply(status=503)))
    gateway.apply(route("books", rule(to="books", retry={"attempts": 1, "retryOn": ["5xx"], "backoff": "1ms"})))
    assert gateway.request("POST", body="all of it").status == 200
    assert [request.body for request in origin.received] == [b"all of it"] * 2


def test_another_endpoint_is_tried_when_one_refuses_the_connection(gateway: Gateway) -> None:
    origin, dead = gateway.origin("alive"), free_port()
    retry = {"attempts": 2, "retryOn": ["connect-failure"], "backoff": "1ms"}
    gateway.apply(upstream("books", origin.port, dead), route("books", rule(to="books", retry=retry)))
    with gateway.connect() as connection:
        found = Counter(connection.request("GET", "/", host="example.com").status for _ in range(20))
    assert found == {200: 20}


def test_each_try_has_its_own_bound(gateway: Gateway) -> None:
    origin = gateway.upstream("books")
    retry: Document = {"attempts": 1, "retryOn": ["gateway-error"], "perTryTimeout": "100ms", "backoff": "1ms"}
    gateway.apply(route("books", rule(exact("/"), to="books", retry=retry)))
    with origin.held():
        assert gateway.get().status == 504
    assert len(origin.received) == 2


def test_a_client_can_not_ask_for_retries(gateway: Gateway) -> None:
    origin = gateway.upstream("books", Failing(9, Reply(status=503)))
    gateway.apply(route("books", rule(to="books")))
    gateway.get(headers={"x-envoy-retry-on": "5xx", "x-envoy-max-retries": "9"})
    assert len(origin.received) == 1


def test_all_retries_together_stay_within_the_budget(gateway: Gateway) -> None:
    """Twenty requests fail at once; the budget lets two retries wait at a time."""
    origin = gateway.upstream("books", Failing(20, Reply(status=503)), retryBudget={"percent": 1, "minConcurrent": 2})
    retry = {"attempts": 1, "retryOn": ["5xx"], "backoff": "200ms"}
    gateway.apply(route("books", rule(to="books", retry=retry)))
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(gateway.get().status)) for _ in range(20)]
    with origin.held():
        for thread in threads:
            thread.start()
        until(lambda: origin.under_way == 20)
    for thread in threads:
        thread.join()
    assert Counter(statuses)[200] in (2, 3)
    assert len(origin.received) == 20 + Counter(statuses)[200]
