"""Who is in a list that keeps clients out gets in by no spelling of the address, and by no missing list."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from fastforward_compiler.emit.envoy import addresslist, admission
from fastforward_compiler.emit.envoy.rbac import NOBODY
from fastforward_pipeline.stages import admission as stage

from security.deployment import HOST, Deployment, deploying
from support.resources import Document, config_map, prefix, route, rule

LISTS = {"bots": "192.0.2.0/24\n2001:db8::/32\n", "a.csv": "198.51.100.0/24,FR\n"}
EDGE: Document = {
    "trustedHops": {"count": 1},
    "addressLists": [
        {"name": "bots", "configMaps": [{"name": "lists", "key": "bots"}]},
        {"name": "gone", "configMaps": [{"name": "lists", "key": "gone"}]},
    ],
    "countries": {"configMaps": [{"name": "lists", "key": "a.csv"}]},
}
DENIED = (
    *("192.0.2.0", "192.0.2.255", "198.51.100.77", "2001:db8::1", "2001:DB8:0:0:0:0:0:1", "2001:0db8::1"),
    *("::ffff:192.0.2.1", "::FFFF:192.0.2.1", "::ffff:c000:201", "0:0:0:0:0:ffff:c000:0201", "::ffff:198.51.100.1"),
)
FREE = ("192.0.3.1", "203.0.113.1", "2001:db9::1", "::ffff:192.0.3.1")


def documents() -> list[Document]:
    denied = {"denyLists": ["bots"], "denyCountries": ["FR"]}
    return [
        config_map("lists", LISTS),
        route("shop", rule(prefix("/"), to="shop"), hosts=HOST, admission=denied),
        route("gone", rule(prefix("/gone"), to="shop"), hosts=HOST, admission={"denyLists": ["gone"]}),
    ]


def passed(deployment: Deployment) -> list[str]:
    """Addresses of those that are kept out, for whom the proxy or the evaluator opens."""
    attacks = [(address, "/") for address in DENIED] + [(address, "/gone") for address in FREE]
    return [
        f"{target} {address}"
        for address, target in attacks
        if deployment.get(target, (("x-forwarded-for", address),)).status == 200
        or deployment.judge(target, address=address).decision.allowed
    ]


@pytest.fixture
def deployment() -> Generator[Deployment]:
    with deploying(*documents(), origins=("shop",), edge_spec=EDGE) as running:
        yield running


def test_nobody_of_the_lists_gets_in(deployment: Deployment) -> None:
    free = [deployment.get("/", (("x-forwarded-for", address),)).status for address in FREE]
    assert free == [200] * len(FREE)
    assert all(deployment.judge("/", address=address).decision.allowed for address in FREE)
    assert passed(deployment) == []
    assert deployment.received == len(FREE)


def test_the_check_sees_a_build_whose_proxy_does_not_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "client_in_any_or_unknown", lambda _: NOBODY)
    with deploying(*documents(), origins=("shop",), edge_spec=EDGE) as broken:
        assert len(passed(broken)) == len(DENIED) + len(FREE)


def test_the_check_sees_a_build_whose_proxy_takes_a_mapped_address_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    own = addresslist.four_networks
    unmapped = lambda first, last: ((four, four) for four, _ in own(first, last))  # noqa: E731
    monkeypatch.setattr(addresslist, "four_networks", unmapped)
    with deploying(*documents(), origins=("shop",), edge_spec=EDGE) as broken:
        assert passed(broken) == [f"/ {address}" for address in DENIED if "ffff" in address.lower()]


def test_the_check_sees_a_build_whose_evaluator_does_not_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "_check_lists", lambda *_: None)
    with deploying(*documents(), origins=("shop",), edge_spec=EDGE) as broken:
        assert len(passed(broken)) == len(DENIED) + len(FREE)
