"""Secrets stay where they are: in no log, argument, environment or answer of the API; files are their owner's alone."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path

import pytest
from fastforward_compiler.emit.decision import DecisionEmitter
from fastforward_compiler.emit.envoy import accesslog as emit_accesslog

from security.deployment import HOST, compiled, deploying
from security.policies import api_keys, by_key, by_password, by_token, key_text, keys, policy
from support import tokens
from support.credentials import basic, password_hash, password_of, private_key_pem, tls_data, users_data, webhook_key
from support.gateway import Gateway, Stack, running_stack, until
from support.issuer import SECRET as CLIENT_SECRET
from support.issuer import login_of
from support.processes import free_port
from support.resources import Document, edge, prefix, resource, route, rule, secret, upstream

KEY_ID = "ACMEKEYACMEK"
PAGES = (
    "/healthz",
    "/readyz",
    "/metrics",
    "/v1/objects",
    "/v1/proxies",
    "/v1/hops",
    "/v1/snapshot",
    "/v1/render",
    "/v1/render?target=decision",
    "/v1/map",
    "/v1/explain?url=http://a.example.com/",
)
TOKEN = tokens.bearer("main", tenant="acme")["authorization"].removeprefix("Bearer ")


def hidden() -> Mapping[str, str]:
    """What must not be seen anywhere, by name."""
    stored = api_keys(**{KEY_ID: "acme"})["stringData"]
    return {
        "pepper": stored["pepper"],
        "hash of a key": json.loads(stored[KEY_ID])["hash"],
        "API key": key_text(KEY_ID),
        "password": password_of("ann"),
        "name and password": basic("ann")["authorization"].removeprefix("Basic "),
        "hash of a password": password_hash(password_of("ann")),
        "webhook key": webhook_key("hidden"),
        "secret of a client": CLIENT_SECRET,
        "token": TOKEN,
        "signature of a token": TOKEN.rpartition(".")[2],
        "private key": private_key_pem(HOST),
        "line of the private key": private_key_pem(HOST).splitlines()[1],
    }


def forms(name: str, value: str) -> Iterator[str]:
    """How a secret may be written: as it is, in base64, and hashes and keys of webhooks as bytes too."""
    octets = [value.encode()] + ([bytes.fromhex(value)] if name == "hash of a key" else [])
    octets += [base64.b64decode(value.removeprefix("whsec_"))] if name == "webhook key" else []
    yield value
    for each in octets:
        yield each.decode("latin-1")
        yield base64.b64encode(each).decode()
        yield base64.urlsafe_b64encode(each).decode()


def leaks(places: Mapping[str, str]) -> set[str]:
    """Which secret is seen where."""
    written = {name: set(forms(name, value)) for name, value in hidden().items()}
    return {
        f"{name} in {place}"
        for place, text in places.items()
        for name, found in written.items()
        if any(form in text for form in found)
    }


def documents(tls_port: int) -> list[Document]:
    listener = {"name": "https", "port": tls_port, "protocol": "HTTPS", "tls": {"certificates": [{"name": "tls"}]}}
    return [
        secret("tls", tls_data(HOST), "kubernetes.io/tls"),
        api_keys(**{KEY_ID: "acme"}),
        keys("main"),
        resource("Tenant", "acme", {}),
        secret("hook", {"current": webhook_key("hidden")}, "gateway.fastforward.dev/webhook-keys"),
        resource("EventHook", "shop", {"events": ["a.b"], "upstream": {"name": "shop"}, "secret": {"name": "hook"}}),
        edge(tls_port, name="secure", hosts=["secure.example.com"], listeners=[listener]),
        secret("client", {"secret": CLIENT_SECRET}),
        policy("callers", ("Route", "shop"), "Required", *providers()),
        secret("users", users_data(ann="acme"), "gateway.fastforward.dev/users"),
        route("shop", rule(prefix("/"), to="shop"), hosts=HOST),
    ]


@pytest.fixture(scope="module")
def stack() -> Generator[Stack]:
    """Everything has been used: good and bad keys and tokens, a certificate, a broken Secret."""
    with running_stack() as running:
        running.start_decision_service()
        made = Gateway(running, namespace="secrets", port=free_port())
        made.begin()
        made.upstream("shop")
        made.apply(*documents(free_port()))
        use(made)
        broken = secret(
            "api-keys", {**api_keys(**{KEY_ID: "acme"})["stringData"], "OTHER": "{"}, "gateway.fastforward.dev/api-keys"
        )
        made.write(broken)
        until(lambda: made.object("AuthPolicy", "secrets", "callers"), lambda found: found.get("problems"))
        yield running
        made.end()


def providers() -> list[Document]:
    """One of each kind."""
    login = login_of(tokenUpstream={"name": "shop"}, jwks={"configMap": {"name": "keys", "key": "main"}})
    return [by_key("acme"), by_token("main", "acme"), by_password("acme"), login]


def use(made: Gateway) -> None:
    """Send credentials in every way, right and wrong."""
    key, bearer = key_text(KEY_ID), f"Bearer {TOKEN}"
    assert made.get(host=HOST, headers={"x-api-key": key}).status == 200
    assert made.get(host=HOST, headers={"authorization": bearer}).status == 200
    until(lambda: made.get(host=HOST, headers=basic("ann")).status == 200)
    until(lambda: made.get(host=HOST, headers=basic("bob", password_of("ann"))).status == 401)
    assert made.get(host=HOST, headers={"x-api-key": f"{key}x"}).status == 401
    assert made.get(host=HOST, headers={"authorization": f"{bearer}x"}).status == 401
    assert made.get(host=HOST, headers={"x-api-key": key, "authorization": f"{bearer}x"}).status == 401


def page(port: int, path: str, accept: str = "*/*") -> str:
    """A page of the operator's API; each byte is a character."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", path, headers={"accept": accept})
        return connection.getresponse().read().decode("latin-1")


def test_no_log_holds_a_secret(stack: Stack) -> None:
    logs = {path.name: path.read_text(errors="replace") for path in stack.folder.glob("*.log")}
    assert {"operator.log", "decision0.log", "access.log"} <= set(logs)
    assert leaks(logs) == set()


def test_no_process_holds_a_secret_in_its_arguments_or_environment(stack: Stack) -> None:
    seen = {}
    for name, child in stack.children.items():
        for part in ("cmdline", "environ"):
            seen[f"{part} of {name}"] = Path(f"/proc/{child.pid}/{part}").read_text(errors="replace")
    assert len(seen) == 6
    assert leaks(seen) == set()


@pytest.mark.parametrize("accept", ["*/*", "application/x-protobuf"])
@pytest.mark.parametrize("path", PAGES)
def test_no_page_of_the_api_holds_a_secret(stack: Stack, path: str, accept: str) -> None:
    text = page(stack.api_port, path, accept)
    assert text
    assert leaks({path: text}) == set()


def test_what_the_operator_keeps_is_its_owners_alone(stack: Stack) -> None:
    state = stack.folder / "state"
    files = [path for path in state.rglob("*") if path.is_file()]
    assert files
    assert [str(path) for path in files if path.stat().st_mode & 0o077] == []
    assert state.stat().st_mode & 0o077 == 0
    assert leaks({str(path): path.read_text(errors="replace") for path in files if "status" in path.parts}) == set()


@pytest.mark.parametrize("name", ["xds.sock", "decision.sock"])
def test_sockets_are_their_owners_alone(stack: Stack, name: str) -> None:
    assert (stack.folder / name).stat().st_mode & 0o077 == 0 or stack.folder.stat().st_mode & 0o077 == 0


def test_the_check_sees_a_snapshot_with_its_secrets() -> None:
    delta, _ = compiled([edge(free_port()), upstream("shop", 1), *documents(free_port())])
    whole = b"".join(one.SerializeToString() for one in DecisionEmitter().apply(delta).upserts).decode("latin-1")
    seen = leaks({"snapshot": whole})
    known = ("pepper", "hash of a key", "webhook key", "hash of a password", "secret of a client")
    assert {f"{each} in snapshot" for each in known} <= seen


def test_the_check_sees_a_build_that_logs_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    told = (*emit_accesslog.FIELDS, ("authorization", "%REQ(AUTHORIZATION)%"), ("key", "%REQ(X-API-KEY)%"))
    monkeypatch.setattr(emit_accesslog, "FIELDS", told)
    with deploying(route("shop", rule(prefix("/"), to="shop")), origins=("shop",)) as broken:
        answer = broken.get("/", [("authorization", f"Bearer {TOKEN}"), ("x-api-key", key_text(KEY_ID))])
        line = json.dumps(broken.envoy.logged(answer))
    assert {"token in log", "API key in log"} <= leaks({"log": line})
