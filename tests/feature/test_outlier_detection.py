"""An endpoint that answers real requests badly is taken out for a while."""

from collections import Counter

from support.gateway import Gateway, until
from support.origin import Reply
from support.resources import route, rule, upstream

BAD = Reply(status=503)


def found(gateway: Gateway, requests: int) -> Counter[str | None]:
    with gateway.connect() as connection:
        return Counter(connection.request("GET", "/", host="example.com").origin for _ in range(requests))


def test_after_so_many_errors_in_a_row_an_endpoint_gets_no_requests(gateway: Gateway) -> None:
    good, bad = gateway.origin("good"), gateway.origin("bad", lambda _: BAD)
    outlier = {"consecutiveErrors": 3, "interval": "1h", "ejectionTime": "1h"}
    gateway.apply(upstream("books", good.port, bad.port, outlierDetection=outlier), route("books", rule(to="books")))
    until(lambda: found(gateway, 10), lambda seen: seen == {"good": 10})
    # Each worker of the proxy counts what it has under way; one more may slip in while the others are told.
    assert 3 <= len(bad.received) <= 4


def test_an_endpoint_comes_back_when_its_time_is_over(gateway: Gateway) -> None:
    replies = [BAD]
    good, bad = gateway.origin("good"), gateway.origin("bad", lambda _: replies[0])
    outlier = {"consecutiveErrors": 2, "interval": "50ms", "ejectionTime": "300ms"}
    gateway.apply(upstream("books", good.port, bad.port, outlierDetection=outlier), route("books", rule(to="books")))
    until(lambda: found(gateway, 4), lambda seen: seen == {"good": 4})
    replies[0] = Reply()
    until(lambda: found(gateway, 4), lambda seen: seen["bad"] > 0)


def test_no_more_than_the_share_allowed_is_taken_out(gateway: Gateway) -> None:
    origins = [gateway.origin(f"bad-{number}", lambda _: BAD) for number in range(4)]
    outlier = {"consecutiveErrors": 1, "interval": "1h", "ejectionTime": "1h", "maxEjectedPercent": 50}
    gateway.apply(
        upstream("books", *(origin.port for origin in origins), outlierDetection=outlier),
        route("books", rule(to="books")),
    )
    until(lambda: found(gateway, 20), lambda seen: len(seen) == 2)
    assert len(found(gateway, 100)) == 2


def test_the_one_good_endpoint_of_many_gets_every_request(gateway: Gateway) -> None:
    bad = [gateway.origin(f"bad-{number}", lambda _: BAD).port for number in range(4)]
    outlier = {"consecutiveErrors": 1, "interval": "1h", "ejectionTime": "1h", "maxEjectedPercent": 80}
    gateway.apply(
        upstream("books", *bad, gateway.origin("good").port, outlierDetection=outlier), route("books", rule(to="books"))
    )
    until(lambda: found(gateway, 20), lambda seen: seen == {"good": 20})
    assert found(gateway, 50) == {"good": 50}


def test_without_it_a_bad_endpoint_keeps_its_share(gateway: Gateway) -> None:
    good, bad = gateway.origin("good"), gateway.origin("bad", lambda _: BAD)
    gateway.apply(upstream("books", good.port, bad.port), route("books", rule(to="books")))
    assert found(gateway, 40)["bad"] > 10
