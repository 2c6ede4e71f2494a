"""Regular expressions that explode elsewhere: refused with a reason, or matched in time that stays small."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from fastforward_pipeline.compiled import pattern

from security.deployment import HOST, compiled, deploying
from support.resources import Document, edge, prefix, regex, route, rule

BOUND_S = 0.5
ANSWER_S = 5.0
"""For Envoy, which waits for its turn on a busy machine: an explosion would take years."""
BOMBS = (
    "/(a+)+x",
    "/(a|a)*x",
    "/(a|aa)+x",
    "/(.*)*x",
    "/(.*a){20}x",
    "/(a?){50}a{50}",
    "/(a{1,100}){1,100}x",
    "/((a{1,10}){1,10}){1,10}x",
    "/a{1000}{1000}",
    "/((((a{9}){9}){9}){9}){9}",
    r"/(?=a)a+",
    r"/(a+)\1+x",
    "/(?:" + "|".join(f"a{{{n}}}" for n in range(1, 100)) + ")*x",
    "/" + "(" * 200 + "a" + ")" * 200,
    "/" + "(a*" * 100 + ")" * 100,
    "/[a-z" + "a-z" * 150 + "]*x",
)
EVIL = "/" + "a" * 6000 + "!"


def places(bomb: str) -> dict[str, Document]:
    """The rules that hold the expression, by where."""
    header = [{"name": "x-evil", "type": "Regex", "value": bomb}]
    query = [{"name": "evil", "type": "Regex", "value": bomb}]
    return {
        "path": rule(regex(bomb), says="matched"),
        "header": rule(prefix("/", headers=header), says="matched"),
        "query": rule(prefix("/", query=query), says="matched"),
    }


def refused(document: Document) -> tuple[str, ...]:
    """The problems of a Route."""
    return compiled([edge(8080), document])[1]


def harmless() -> list[tuple[str, str, Document]]:
    """(bomb, where, rule) of what the compiler accepts."""
    found = []
    for bomb in BOMBS:
        for where, made in places(bomb).items():
            if not refused(route("evil", made, hosts=HOST)):
                found.append((bomb, where, made))
    return found


def took(work: Callable[[], object]) -> float:
    """Seconds of this process's own time."""
    started = time.process_time()
    work()
    return time.process_time() - started


@pytest.mark.parametrize("bomb", ["/a{1000}{1000}", r"/(?=a)a+", r"/(a+)\1+x", "/((((a{9}){9}){9}){9}){9}"])
def test_what_is_too_large_or_not_regular_is_refused_with_a_reason(bomb: str) -> None:
    for where, made in places(bomb).items():
        problems = refused(route("evil", made, hosts=HOST))
        assert problems, where
        assert all("regular expression" in problem or "xpression" in problem for problem in problems), problems


@pytest.mark.parametrize("bomb", BOMBS)
def test_compiling_takes_little_time(bomb: str) -> None:
    for made in places(bomb).values():
        evil = route("evil", made, hosts=HOST)
        assert took(lambda document=evil: refused(document)) < BOUND_S


def test_envoy_and_decide_match_what_is_accepted_in_little_time() -> None:
    rules = harmless()
    hosts = [f"h{number}.example.com" for number in range(len(rules))]
    made = [
        route(f"evil{n}", each, rule(prefix("/"), says="else"), hosts=hosts[n]) for n, (_, _, each) in enumerate(rules)
    ]
    sent = [("x-evil", EVIL)]
    with deploying(*made) as running:
        assert running.problems == ()
        for host, (bomb, where, _) in zip(hosts, rules, strict=True):
            target = f"{EVIL}?evil={EVIL}"
            started = time.monotonic()
            answer = running.get(target, sent, host=host)
            seconds = time.monotonic() - started
            judged: list[str] = []
            spent = took(lambda t=target, h=host, to=judged: to.append(running.judge(t, sent, host=h).decision.body))
            assert [answer.body] == judged, (bomb, where)
            assert spent < BOUND_S, (bomb, where)
            assert seconds < ANSWER_S, (bomb, where)


def test_the_check_sees_an_evaluator_whose_engine_backtracks(monkeypatch: pytest.MonkeyPatch) -> None:
    backtracking = SimpleNamespace(compile=lambda text, _: re.compile(text), error=re.error)
    monkeypatch.setattr(pattern, "re2", backtracking)
    with deploying(route("evil", rule(regex("/(a+)+x"), says="matched"), hosts=HOST)) as broken:
        assert took(lambda: broken.judge("/" + "a" * 24 + "!")) > BOUND_S
