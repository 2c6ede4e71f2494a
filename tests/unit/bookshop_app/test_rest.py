"""What the bookshop answers over HTTP."""

import http.client
import json

import pytest

from support.bookshop import Bookshop

ACME = {"x-ff-tenant": "acme"}
ORIGIN = {"tenant": "public", "served_by": "catalog-v7", "shard": "north"}


def ids(books: list[dict[str, object]]) -> list[object]:
    return [book["id"] for book in books]


def test_without_a_tenant_the_public_catalogue_answers(bookshop: Bookshop) -> None:
    answer = bookshop.request("GET", "/books")
    assert answer.status == 200
    assert ids(answer.json["books"]) == ["pride", "emma", "moby"]


def test_the_tenant_header_decides_which_catalogue_answers(bookshop: Bookshop) -> None:
    answer = bookshop.request("GET", "/books", headers=ACME)
    assert answer.json["tenant"] == "acme"
    assert ids(answer.json["books"]) == ["dune", "earthsea", "dispossessed"]
    assert bookshop.request("GET", "/books/pride", headers=ACME).status == 404


def test_a_tenant_without_catalogue_is_told_so(bookshop: Bookshop) -> None:
    answer = bookshop.request("GET", "/books", headers={"x-ff-tenant": "nobody"})
    assert answer.status == 404
    assert answer.json["error"] == "Tenant 'nobody' has no catalogue."


def test_books_are_filtered_by_author_in_any_case_and_limited(bookshop: Bookshop) -> None:
    assert ids(bookshop.request("GET", "/books?author=austen").json["books"]) == ["pride", "emma"]
    assert ids(bookshop.request("GET", "/books?author=AUSTEN&limit=1").json["books"]) == ["pride"]


@pytest.mark.parametrize("limit", ["0", "101", "-1", "many", ""])
def test_a_limit_outside_its_range_is_refused(bookshop: Bookshop, limit: str) -> None:
    answer = bookshop.request("GET", f"/books?limit={limit}")
    assert answer.status == 400
    assert "limit" in json.dumps(answer.json)


def test_a_book_is_found_by_its_id(bookshop: Bookshop) -> None:
    assert bookshop.request("GET", "/books/emma").json == {
        "id": "emma",
        "title": "Emma",
        "author": "Jane Austen",
        "price_cents": 949,
        "stock": 500,
        **ORIGIN,
    }


def test_an_order_takes_books_from_the_stock_and_can_be_read_by_its_tenant_alone(bookshop: Bookshop) -> None:
    placed = bookshop.request("POST", "/orders", body='{"book": "dune", "quantity": 2}', headers=ACME)
    assert placed.status == 201
    assert placed.json["total_cents"] == 2198
    order = f"/orders/{placed.json['id']}"
    assert bookshop.request("GET", order, headers=ACME).json == placed.json
    assert bookshop.request("GET", order).status == 404
    assert [each["id"] for each in bookshop.request("GET", "/orders", headers=ACME).json["orders"]] == [
        placed.json["id"]
    ]
    assert bookshop.request("GET", "/orders").json["orders"] == []
    assert bookshop.request("GET", "/admin/stock", headers=ACME).json["stock"]["dune"] == 498


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ("{}", ["book: Field required", "quantity: Field required"]),
        ('{"book": "emma", "quantity": 0}', ["quantity: Input should be greater than or equal to 1"]),
        ('{"book": "emma", "quantity": true}', ["quantity: Input should be a valid integer"]),
        ('{"book": "emma", "quantity": 1, "gift": 1}', ["gift: Extra inputs are not permitted"]),
        ("[]", ["body: Input should be an object"]),
    ],
    ids=["empty", "too-few", "boolean", "unknown-field", "list"],
)
def test_each_problem_of_an_order_is_named(bookshop: Bookshop, body: str, problems: list[str]) -> None:
    answer = bookshop.request("POST", "/orders", body=body)
    assert answer.status == 400
    assert answer.json["problems"] == problems


@pytest.mark.parametrize("body", ["", "{", "[" * 100_000, '{"book": "\x00"}'], ids=["empty", "cut", "deep", "control"])
def test_what_is_not_json_is_refused_as_such(bookshop: Bookshop, body: str) -> None:
    answer = bookshop.request("POST", "/orders", body=body)
    assert answer.status == 400
    assert answer.json["problems"][0].startswith("body: Invalid JSON")


def test_more_than_the_stock_is_not_sold(bookshop: Bookshop) -> None:
    globex = {"x-ff-tenant": "globex"}
    assert bookshop.request("PUT", "/admin/stock/orient", body='{"stock": 1}', headers=globex).json["stock"] == 1
    answer = bookshop.request("POST", "/orders", body='{"book": "orient", "quantity": 2}', headers=globex)
    assert answer.status == 409
    assert answer.json["error"] == "Only 1 of 'orient' left, 2 ordered."


def test_a_negative_stock_is_refused(bookshop: Bookshop) -> None:
    answer = bookshop.request("PUT", "/admin/stock/emma", body='{"stock": -1}')
    assert (answer.status, answer.json["problems"]) == (400, ["stock: Input should be greater than or equal to 0"])


def test_echo_shows_path_query_and_repeated_headers_as_they_were_sent(bookshop: Bookshop) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", bookshop.rest_port, timeout=10)
    connection.putrequest("PURGE", "/echo/a%2Fb/../c//d?x=%20&x=2", skip_accept_encoding=True)
    for value in ("1", "2"):
        connection.putheader("X-Twice", value)
    connection.putheader("content-length", "4")
    connection.endheaders(b"body")
    arrived = json.loads(connection.getresponse().read())
    connection.close()
    assert arrived["method"] == "PURGE"
    assert arrived["path"] == "/echo/a%2Fb/../c//d"
    assert arrived["query"] == "x=%20&x=2"
    assert arrived["body"] == "body"
    assert arrived["headers"]["x-twice"] == "1, 2"
    assert [pair for pair in arrived["raw_headers"] if pair[0] == "X-Twice"] == [["X-Twice", "1"], ["X-Twice", "2"]]
    assert arrived["served_by"] == "catalog-v7"


def test_echo_takes_headers_and_bodies_larger_than_a_gateway_lets_through(bookshop: Bookshop) -> None:
    arrived = bookshop.request("POST", "/echo", body="b" * 2_000_000, headers={"x-large": "h" * 60_000}).json
    assert (len(arrived["headers"]["x-large"]), len(arrived["body"])) == (60_000, 2_000_000)


@pytest.mark.parametrize("code", [200, 204, 304, 404, 503, 599])
def test_status_answers_with_the_status_asked_for(bookshop: Bookshop, code: int) -> None:
    answer = bookshop.request("POST" if code == 503 else "GET", f"/status/{code}")
    assert (answer.status, answer.headers["x-served-by"]) == (code, "catalog-v7")


def test_slow_answers_after_the_time_asked_for_and_refuses_nonsense(bookshop: Bookshop) -> None:
    assert bookshop.request("GET", "/slow?seconds=0.05").json["slept_seconds"] == 0.05
    for seconds in ("61", "-1", "nan", "soon"):
        assert bookshop.request("GET", f"/slow?seconds={seconds}").status == 400


def test_health_is_ok(bookshop: Bookshop) -> None:
    assert bookshop.request("GET", "/health").json == {"status": "ok", **ORIGIN}


@pytest.mark.parametrize(
    ("method", "target", "status"), [("GET", "/nothing", 404), ("DELETE", "/books", 405), ("GET", "/status/999", 404)]
)
def test_every_answer_errors_included_says_who_served_it(
    bookshop: Bookshop, method: str, target: str, status: int
) -> None:
    answer = bookshop.request(method, target)
    assert answer.status == status
    assert answer.json["error"].endswith(f": {method} {target}")
    assert answer.json["served_by"] == answer.headers["x-served-by"] == "catalog-v7"
    assert answer.json["shard"] == answer.headers["x-shard"] == "north"
    assert ("allow" in answer.headers) == (status == 405)
