"""`ff get` and `ff status` show what the operator says, and say what to do when none answers."""

from collections.abc import Generator

import fastforward_crds as crds
import pytest
import yaml

from support.ff import ff
from support.operator_api import answering, described, hop, node, operator_api
from support.processes import free_port

GOOD = described("Route", "books", effective=("AuthPolicy shop/members",))
BAD = described("Route", "orders", refused="Upstream shop/nowhere was not found.")
TENANT = described("Tenant", "books")
COMMANDS = (
    ("get",),
    ("status",),
    ("trace", "x"),
    ("explain", "request", "GET", "http://a/"),
    ("explain", "route", "a/b"),
)


@pytest.fixture
def api() -> Generator[str]:
    with operator_api([GOOD, BAD, TENANT], [node("envoy-1", "envoy"), node("decision", "decision")]) as url:
        yield url


def test_the_table_has_a_verdict_for_every_object(api: str) -> None:
    lines = ff("get", "--api", api).out.splitlines()
    titles = ["KIND", "NAME", "ACCEPTED", "RESOLVED", "PROGRAMMED", "PROXIES", "REASON", "GENERATION", "SINCE"]
    assert lines[0].split() == titles
    assert lines[1].split()[:8] == ["Route", "shop/books", "True", "True", "True", "1/2", "Programmed", "3"]
    assert lines[2].split()[:8] == ["Route", "shop/orders", "True", "False", "True", "1/2", "UpstreamNotFound", "3"]
    assert len(lines) == 4


@pytest.mark.parametrize("name", ["Route", "route", "routes", "rt", "ROUTES"])
def test_a_kind_goes_by_all_its_names(api: str, name: str) -> None:
    assert len(ff("get", name, "-o", "json", "--api", api).json["objects"]) == 2


def test_every_kind_is_known_by_plural_and_short_name(api: str) -> None:
    for kind in crds.KINDS:
        for name in (kind.plural, *kind.short):
            assert ff("get", name, "--api", api).code == 0


def test_an_unknown_kind_is_told_with_the_known_ones(api: str) -> None:
    said = ff("get", "pods", "--api", api)
    assert said.code == 1
    assert said.err.startswith("There is no kind pods; known are edges")


def test_one_object_is_shown_with_its_conditions_and_problems_in_full(api: str) -> None:
    out = ff("get", "rt", "shop/orders", "--api", api).out
    assert "written in   a.yaml:2, generation 3" in out
    assert "proxies      1 of 2 have it" in out
    assert "ResolvedRefs False UpstreamNotFound: Upstream shop/nowhere was not found." in out
    assert "problem      a.yaml:9 spec.rules[0].upstreams[0]: Upstream shop/nowhere was not found." in out
    assert "effective    AuthPolicy shop/members" in ff("get", "rt", "books", "-n", "shop", "--api", api).out


def test_json_of_one_object_is_the_object(api: str) -> None:
    assert ff("get", "rt", "shop/books", "-o", "json", "--api", api).json == GOOD
    assert yaml.safe_load(ff("get", "rt", "shop/books", "-o", "yaml", "--api", api).out) == GOOD


def test_an_object_that_is_not_there_is_exit_code_one(api: str) -> None:
    said = ff("get", "rt", "shop/none", "--api", api)
    assert (said.code, said.err) == (1, "There is no Route shop/none: `ff get` lists what is there.\n")


def test_status_shows_nodes_and_what_is_wrong(api: str) -> None:
    said = ff("status", "--api", api)
    assert said.code == 1
    assert "envoy-1" in said.out
    assert "3 of 3 objects are programmed; 1 with problems." in said.out
    assert "Route shop/orders: ResolvedRefs False UpstreamNotFound: Upstream shop/nowhere was not found." in said.out
    assert "    a.yaml:9: spec.rules[0].upstreams[0]\n" in said.out


def test_status_shows_the_hops_of_entrypoints() -> None:
    hops = [hop("shop/orders"), hop("stages of shop/normalizer", breaker="", limit=None, note="JSON")]
    with operator_api([GOOD], [node("decision", "decision")], hops=hops, silent=["decision/2"]) as api:
        said = ff("status", "--api", api)
        assert ff("status", "-o", "json", "--api", api).json["hops"] == hops
    rows = [line.split("   ") for line in said.out.splitlines()]
    assert ["decision", "shop/orders", "open", "1 of 256", "0", "7", "2", "3"] in [_cells(row) for row in rows]
    assert ["decision", "stages of shop/normalizer (JSON)", "-", "1", "0", "7", "2", "3"] in [
        _cells(row) for row in rows
    ]
    assert said.err == "What decision/2 knows is not shown: it does not answer.\n"
    assert said.code == 0


def _cells(row: list[str]) -> list[str]:
    return [cell.strip() for cell in row if cell.strip()]


def test_status_is_exit_code_zero_when_nothing_is_wrong() -> None:
    with operator_api([GOOD], [node("envoy-1", "envoy")]) as api:
        said = ff("status", "-o", "json", "--api", api)
    assert (said.code, said.json["programmed"], said.json["wrong"]) == (0, {"True": 1}, [])


def test_a_refusal_is_shown_in_the_proxys_own_words() -> None:
    with operator_api([GOOD], [node("envoy-1", "envoy", refused="Route table can only match on headers")]) as api:
        assert "Scope shop|a#: Route table can only match on headers" in ff("status", "--api", api).out


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_without_an_operator_there_is_one_sentence_with_the_remedy(command: tuple[str, ...]) -> None:
    said = ff(*command, "--api", f"http://127.0.0.1:{free_port()}")
    assert said.code == 1
    assert "No operator answers at http://127.0.0.1:" in said.err
    assert "start one with `ff up DIR`" in said.err


def test_another_program_on_that_port_is_told_apart() -> None:
    with operator_api([], []) as api:
        said = ff("get", "--api", f"{api}/elsewhere")
    assert said.code == 1
    assert "answered 404: is it another program, or another version?" in said.err


STRANGE = (b"<html>", b"{}", b"[]", b'{"objects": 2, "proxies": [1]}', b'{"objects": [', b"\xff\xfe")


@pytest.mark.parametrize("body", STRANGE, ids=repr)
def test_an_answer_that_is_none_of_an_operator_is_one_sentence(body: bytes) -> None:
    with answering(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)) as api:
        for command in COMMANDS:
            said = ff(*command, "--api", api)
            assert (said.code, said.out) == (1, "")
            assert said.err.startswith(f"What answers at {api} is no operator, or another version (no ")


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}"], ids=repr)
def test_an_answer_that_is_no_http_is_one_sentence(answer: bytes) -> None:
    with answering(answer) as api:
        for command in COMMANDS:
            said = ff(*command, "--api", api)
            assert said.code == 1
            assert said.err.startswith(f"No operator answers at {api} (")


def test_a_refusal_is_told_in_the_operators_own_words() -> None:
    problem = b'{"detail": "List the host in FF_API_HOSTS."}'
    with answering(b"HTTP/1.1 403 No\r\ncontent-length: %d\r\n\r\n%s" % (len(problem), problem)) as api:
        assert ff("get", "--api", api).err == f"The operator at {api} answered 403: List the host in FF_API_HOSTS.\n"


@pytest.mark.parametrize(
    "api", ["", "x", "localhost:9080", "file:///etc/passwd", "http://127.0.0.1:x", "http://a\nb", "http://["]
)
def test_an_address_that_is_none_is_one_sentence(api: str) -> None:
    said = ff("get", "--api", api)
    assert said.code == 1
    assert "--api" in said.err
