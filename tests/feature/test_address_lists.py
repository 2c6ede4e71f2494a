"""Clients by lists and by country: in files, shared by all routes, and changed without a connection being closed."""

import base64
import gzip
import random
from ipaddress import ip_address

import pytest

from support.client import Response
from support.gateway import Gateway, until
from support.resources import Document, config_map, edge, on, resource, route, rule

DENIED = (403, "admission/address-denied")


def listing(name: str, *keys: str, config_map_name: str = "lists") -> Document:
    """A list of the Edge, in keys of a ConfigMap."""
    return {"name": name, "configMaps": [{"name": config_map_name, "key": key} for key in keys or (name,)]}


COUNTRIES = {"configMaps": [{"name": "countries", "key": "a.csv"}, {"name": "countries", "key": "b.csv"}]}


def admit(gateway: Gateway, admission: Document, *more: Document, lists: dict[str, str], **edge_: object) -> None:
    """A Route on an Edge behind one trusted hop, whose lists are these."""
    gateway.upstream("books")
    declared = [listing(name) for name in lists]
    gateway.apply(
        config_map("lists", lists),
        edge(gateway.port, trustedHops={"count": 1}, addressLists=declared, **edge_),  # ty: ignore[invalid-argument-type]
        route("books", rule(to="books"), admission=admission),
        *more,
    )


def seen_from(gateway: Gateway, address: str, target: str = "/") -> Response:
    return gateway.get(target, headers={"x-forwarded-for": address})


def verdicts(gateway: Gateway, *addresses: str) -> dict[str, int]:
    return {address: seen_from(gateway, address).status for address in addresses}


def test_who_is_in_a_list_is_kept_out(gateway: Gateway) -> None:
    bots = "# bots\n192.0.2.0/24\n198.51.100.7 # alone\n\n2001:db8:1::/48\n203.0.113.0/25 ; as others write it\n"
    admit(gateway, {"denyLists": ["bots"]}, lists={"bots": bots})
    inside = ("192.0.2.0", "192.0.2.255", "198.51.100.7", "2001:db8:1::", "2001:db8:1:ffff::1", "203.0.113.127")
    outside = ("192.0.1.255", "192.0.3.0", "198.51.100.6", "198.51.100.8", "2001:db8:2::", "203.0.113.128", "::")
    assert verdicts(gateway, *inside, *outside) == dict.fromkeys(inside, 403) | dict.fromkeys(outside, 200)
    answer = seen_from(gateway, "192.0.2.9")
    assert (answer.status, answer.reason) == DENIED


def test_an_address_written_as_ipv6_writes_it_is_the_same(gateway: Gateway) -> None:
    lists = {"bots": "192.0.2.0/24\n::ffff:198.51.100.0/120\n", "all": "::/0"}
    admit(gateway, {"denyLists": ["bots"]}, lists=lists)
    addresses = ("::ffff:192.0.2.1", "::ffff:198.51.100.1", "198.51.100.1")
    assert verdicts(gateway, *addresses) == dict.fromkeys(addresses, 403)
    assert verdicts(gateway, "::ffff:192.0.3.1") == {"::ffff:192.0.3.1": 200}
    gateway.apply(route("books", rule(to="books"), admission={"denyAddresses": ["192.0.2.0/24"]}))
    assert verdicts(gateway, "::ffff:192.0.2.1", "::ffff:192.0.3.1") == {
        "::ffff:192.0.2.1": 403,
        "::ffff:192.0.3.1": 200,
    }
    gateway.apply(route("books", rule(to="books"), admission={"denyLists": ["all"]}))
    assert verdicts(gateway, "2001:db8::1", "::ffff:192.0.2.1") == {"2001:db8::1": 403, "::ffff:192.0.2.1": 200}


def test_lists_countries_and_networks_let_in_together_and_denial_wins(gateway: Gateway) -> None:
    csv = {
        "a.csv": "network,country\n198.51.100.0/24,DE\n198.51.101.0/24,FR\n",
        "b.csv": "2001:db8::,2001:db8::ff,DE\n",
    }
    admit(
        gateway,
        {
            "allowLists": ["office"],
            "allowCountries": ["DE"],
            "allowAddresses": ["203.0.113.0/24"],
            "denyLists": ["bots"],
        },
        config_map("countries", csv),
        lists={"office": "192.0.2.0/24", "bots": "192.0.2.7\n198.51.100.7\n"},
        countries=COUNTRIES,
    )
    inside = ("192.0.2.1", "198.51.100.1", "2001:db8::fe", "203.0.113.1")
    outside = ("192.0.2.7", "198.51.100.7", "198.51.101.1", "2001:db8::100", "10.0.0.1")
    assert verdicts(gateway, *inside, *outside) == dict.fromkeys(inside, 200) | dict.fromkeys(outside, 403)
    line = gateway.log_line(seen_from(gateway, "198.51.100.7"))
    assert (line["addressLists"], line["refusal"]) == ("|DE|bots|", "admission/address-denied")


def test_the_edges_lists_hold_on_every_route_and_a_forged_address_opens_no_door(gateway: Gateway) -> None:
    gateway.upstream("books")
    gateway.apply(
        config_map("lists", {"own": "127.0.1.0/24"}),
        edge(gateway.port, addressLists=[listing("own")], admission={"allowLists": ["own"]}),
        route("books", rule(to="books")),
    )
    for address, status in (("127.0.1.9", 200), ("127.0.2.9", 403)):
        with gateway.connect(source=address) as connection:
            forged = {"x-forwarded-for": "127.0.1.1", "x-real-ip": "127.0.1.1"}
            assert connection.request("GET", "/", host="example.com", headers=forged).status == status


def test_a_changed_list_holds_at_once_and_closes_no_connection(gateway: Gateway) -> None:
    admit(gateway, {"denyLists": ["bots"]}, lists={"bots": "192.0.2.1"})
    with gateway.connect() as connection:

        def ask(address: str) -> int:
            return connection.request("GET", "/", host="example.com", headers={"x-forwarded-for": address}).status

        assert (ask("192.0.2.1"), ask("192.0.2.2")) == (403, 200)
        before = gateway.stack.envoy_stats("listener_manager.listener_(modified|create_success)")
        assert before
        for last in range(2, 6):
            gateway.apply(
                config_map("lists", {"bots": f"192.0.2.{last}"}), route("other", rule(says="x"), hosts="x.example.com")
            )
            until(lambda last=last: ask(f"192.0.2.{last}") == 403)
            assert ask("192.0.2.1") == 200
        assert gateway.stack.envoy_stats("listener_manager.listener_(modified|create_success)") == before


def test_bad_lines_are_told_by_number_and_the_others_hold(gateway: Gateway) -> None:
    gateway.upstream("books")
    gateway.apply(
        config_map("lists", {"bots": "192.0.2.1\nbots.example.com\n10.0.0.0/33\n192.0.2.2"}),
        edge(gateway.port, trustedHops={"count": 1}, addressLists=[listing("bots")], admission={"denyLists": ["bots"]}),
        route("books", rule(to="books")),
        expect={("Edge", "public"): "SecretInvalid"},
    )
    told = [each["message"] for each in gateway.object("Edge", gateway.namespace, "public")["problems"]]
    place = f"of key bots of ConfigMap {gateway.namespace}/lists"
    assert [f"Line {number} {place} is no network, and left out." for number in (2, 3)] == told
    assert verdicts(gateway, "192.0.2.1", "192.0.2.2", "192.0.2.3") == {
        "192.0.2.1": 403,
        "192.0.2.2": 403,
        "192.0.2.3": 200,
    }


def test_what_can_not_be_read_keeps_everybody_out_and_lets_nobody_in(gateway: Gateway) -> None:
    lost = "AddressListNotFound"
    gateway.upstream("books")
    gateway.apply(
        edge(gateway.port, trustedHops={"count": 1}, addressLists=[listing("bots")]),
        route("books", rule(to="books"), admission={"denyLists": ["bots"]}),
        route("plain", rule(to="books"), hosts="plain.example.com"),
        route("office", rule(to="books"), hosts="office.example.com", admission={"allowLists": ["office"]}),
        route("fr", rule(to="books"), hosts="fr.example.com", admission={"denyCountries": ["FR"]}),
        route("watch", rule(to="books"), hosts="watch.example.com", admission={"denyLists": ["bots"], "shadow": True}),
        expect={
            ("Edge", "public"): "SecretNotFound",
            **{("Route", name): lost for name in ("books", "office", "fr", "watch")},
        },
    )
    hosts = ("example.com", "plain.example.com", "office.example.com", "fr.example.com", "watch.example.com")
    assert [gateway.get(host=host).status for host in hosts] == [403, 200, 403, 403, 200]
    assert gateway.problems("Route", "fr") == {
        "spec.admission.denyCountries[0]": f"Edge {gateway.namespace}/public has no data of countries."
    }
    gateway.apply(config_map("lists", {"bots": "192.0.2.1"}))
    until(lambda: seen_from(gateway, "192.0.2.2").status == 200)
    assert seen_from(gateway, "192.0.2.1").status == 403


def test_in_the_shadow_the_list_is_told_and_nobody_is_refused(gateway: Gateway) -> None:
    admit(gateway, {"denyLists": ["bots"], "shadow": True}, lists={"bots": "192.0.2.1"})
    answers = {address: seen_from(gateway, address) for address in ("192.0.2.1", "192.0.2.2")}
    assert {answer.status for answer in answers.values()} == {200}
    told = {address: gateway.log_line(answer) for address, answer in answers.items()}
    assert [line["shadowAdmission"] for line in told.values()] == ["admission/address-denied", None]
    assert [line["addressLists"] for line in told.values()] == ["|bots|", "|"]


def test_a_long_compressed_list_is_looked_up_like_a_short_one(gateway: Gateway) -> None:
    rng = random.Random(7)
    numbers = rng.sample(range(1 << 24, 200 << 24), 20_000)
    text = "\n".join(f"{ip_address(number)}" for number in numbers)
    packed = base64.b64encode(gzip.compress(text.encode())).decode()
    gateway.upstream("books")
    document = {**config_map("long", {}), "binaryData": {"list.gz": packed}}
    gateway.apply(
        document,
        edge(gateway.port, trustedHops={"count": 1}, addressLists=[listing("long", "list.gz", config_map_name="long")]),
        route("books", rule(to="books"), admission={"denyLists": ["long"]}),
    )
    listed = set(numbers)
    probes = [*numbers[::500], *(number + 1 for number in numbers[::500])]
    wanted = {str(ip_address(number)): 403 if number in listed else 200 for number in probes}
    assert verdicts(gateway, *wanted) == wanted


@pytest.mark.parametrize("field", ["denyLists", "allowLists"])
def test_a_rule_behind_the_decision_service_and_a_tenants_rule_are_judged_alike(
    deciding_gateway: Gateway, field: str
) -> None:
    gateway = deciding_gateway
    budget = {"requests": 1000, "window": "1h"}
    limit = {"targets": [on("Route", "books")], "budget": budget, "enforcement": "Exact"}
    admit(gateway, {field: ["bots"]}, resource("RateLimit", "one", limit), lists={"bots": "192.0.2.0/24"})
    inside, outside = (403, 200) if field == "denyLists" else (200, 403)
    assert verdicts(gateway, "192.0.2.1", "192.0.3.1") == {"192.0.2.1": inside, "192.0.3.1": outside}
