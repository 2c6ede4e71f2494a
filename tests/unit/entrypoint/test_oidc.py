"""Codes are exchanged at real token endpoints: once, by TLS where the Upstream says so, and whatever they answer."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, unquote_plus

import pytest
from aiohttp import web
from fastforward_entrypoint import oidc
from fastforward_entrypoint.oidc import TokenEndpoints, read_answer
from fastforward_pipeline import DrawBytes, RedeemCode, Redeemed
from fastforward_pipeline.compiled.oidc import OidcClient, compile_oidc_client

from fastforward.snapshot.v1 import snapshot_pb2 as pb
from support.credentials import certificate_pem, pin, private_key_pem
from support.webhooks import Posted, Receiver, receiving

HOST = "login.example.com"
SECRET = "a secret: of 100 % and é".encode()


def client(
    *ports: int,
    authority: str = "",
    scheme: str = "http",
    names: Sequence[str] = (HOST,),
    pins: Sequence[str] = (),
    **fields: object,
) -> OidcClient:
    wire = pb.OidcClient(
        client_id="shop & more",
        secret=SECRET,
        token_url=f"{scheme}://{HOST}/token?of=shop",
        endpoints=[pb.Endpoint(address="127.0.0.1", port=port) for port in ports],
        **fields,  # ty: ignore[invalid-argument-type]
    )
    if authority:
        wire.tls.CopyFrom(pb.ServiceTls(server_name=HOST, authorities=authority.encode(), names=names, pins=pins))
    return compile_oidc_client("shop/staff/login", wire)


def code(known: OidcClient) -> RedeemCode:
    return RedeemCode(known, "the code", "the verifier", "https://shop.example.com/back")


async def redeemed(known: OidcClient, endpoints: TokenEndpoints | None = None) -> Redeemed:
    asking = endpoints or TokenEndpoints()
    try:
        found = asking.redeem(code(known))
        return found if isinstance(found, Redeemed) else await found
    finally:
        await asking.close()


def give(_: Posted) -> web.Response:
    return web.json_response({"id_token": "a.b.c", "access_token": "x", "token_type": "Bearer"})


def answering(tmp_path: Path, host: str) -> ssl.SSLContext:
    (tmp_path / "pair.pem").write_text(certificate_pem(host) + private_key_pem(host))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pair.pem")
    return context


async def test_a_code_is_exchanged_as_the_standards_say() -> None:
    async with receiving(give) as issuer:
        assert await redeemed(client(issuer.port)) == Redeemed(id_token="a.b.c")
        (posted,) = issuer.received
    assert (posted.path, posted.headers["host"]) == ("/token?of=shop", HOST)
    assert posted.headers["content-type"] == "application/x-www-form-urlencoded"
    name, _, secret = base64.b64decode(posted.headers["authorization"].removeprefix("Basic ")).decode().partition(":")
    assert (unquote_plus(name), unquote_plus(secret)) == ("shop & more", SECRET.decode())
    assert parse_qs(posted.body.decode()) == {
        "grant_type": ["authorization_code"],
        "code": ["the code"],
        "redirect_uri": ["https://shop.example.com/back"],
        "code_verifier": ["the verifier"],
    }


async def test_the_secret_goes_in_the_form_where_the_policy_says_so() -> None:
    async with receiving(give) as issuer:
        assert await redeemed(client(issuer.port, in_form=True)) == Redeemed(id_token="a.b.c")
        (posted,) = issuer.received
    assert "authorization" not in posted.headers
    form = parse_qs(posted.body.decode())
    assert (form["client_id"], form["client_secret"]) == (["shop & more"], [SECRET.decode()])
    assert form["code"] == ["the code"]


async def test_places_are_asked_in_turn() -> None:
    async with receiving(give) as one, receiving(give) as other:
        endpoints, known = TokenEndpoints(), client(one.port, other.port)
        for _ in range(4):
            found = endpoints.redeem(code(known))
            assert isinstance(found, asyncio.Future)
            await found
        await endpoints.close()
        assert (len(one.received), len(other.received)) == (2, 2)


async def test_only_who_proves_to_be_the_issuer_gets_the_secret(tmp_path: Path) -> None:
    async with receiving(give, tls=answering(tmp_path, HOST)) as issuer:
        good = client(issuer.port, authority=certificate_pem(HOST), scheme="https")
        assert (await redeemed(good)).id_token == "a.b.c"
        for authority in (certificate_pem("another.example.com"), certificate_pem(HOST, "again.example.com")):
            refused = await redeemed(client(issuer.port, authority=authority, scheme="https"))
            assert (refused.id_token, refused.reached) == ("", False)
        assert len(issuer.received) == 1
    async with receiving(give, tls=answering(tmp_path, "another.example.com")) as other:
        authority = certificate_pem("another.example.com")
        assert not (await redeemed(client(other.port, authority=authority, scheme="https"))).reached
        assert other.received == []
        named = client(other.port, authority=authority, scheme="https", names=(HOST, "another.example.com"))
        assert (await redeemed(named)).id_token == "a.b.c"


async def test_an_issuer_with_a_pinned_key_has_that_key(tmp_path: Path) -> None:
    async with receiving(give, tls=answering(tmp_path, HOST)) as issuer:
        for pins, reached in (
            ((pin(HOST),), True),
            ((pin("another.example.com"), pin(HOST)), True),
            ((pin("x"),), False),
        ):
            known = client(issuer.port, authority=certificate_pem(HOST), scheme="https", pins=pins)
            assert (await redeemed(known)).reached is reached
        assert len(issuer.received) == 2


def test_a_client_whose_tls_proves_nothing_is_none() -> None:
    with pytest.raises(ValueError, match="proves nothing"):
        client(1, authority=certificate_pem(HOST), names=())


@pytest.mark.parametrize(
    ("status", "body", "fault", "reached"),
    [
        (400, b'{"error": "invalid_grant"}', "the token endpoint says 'invalid_grant'", True),
        (401, b'{"error": "invalid_client"}', "the token endpoint says 'invalid_client'", True),
        (500, b'{"error": "server_error"}', "the token endpoint says 'server_error'", False),
        (200, b"<html>", "the token endpoint answers 200 and no JSON object", True),
        (503, b"", "the token endpoint answers 503 and no JSON object", False),
        (200, b"[1]", "the token endpoint answers 200 and no JSON object", True),
        (200, b"{}", "the token endpoint gives no ID token: is `openid` among the client's scopes?", True),
        (200, b'{"id_token": 5}', "the token endpoint gives no ID token: is `openid` among the client's scopes?", True),
        (302, b"{}", "the token endpoint says 'None'", True),
        (200, b"[" * 100_000, "the token endpoint answers 200 and no JSON object", True),
    ],
)
def test_what_is_no_id_token_is_told(status: int, body: bytes, fault: str, *, reached: bool) -> None:
    assert read_answer(status, body) == Redeemed(fault=fault, reached=reached)


async def test_redirects_are_not_followed_and_long_answers_not_read() -> None:
    async with receiving(lambda _: web.Response(status=302, headers={"location": "/token"})) as issuer:
        assert (await redeemed(client(issuer.port))).fault == "the token endpoint answers 302 and no JSON object"
        assert len(issuer.received) == 1
    long = json.dumps({"id_token": "a" * 200_000})
    async with receiving(lambda _: web.Response(text=long)) as issuer:
        assert (
            await redeemed(client(issuer.port))
        ).fault == "the token endpoint can't be asked: its answer is too long"


async def test_nobody_to_ask_is_told_at_once() -> None:
    assert TokenEndpoints().redeem(code(client())) == Redeemed(fault="the token endpoint has no address", reached=False)
    gone = Receiver()
    assert not (await redeemed(client(gone.port))).reached
    assert not (await redeemed(client(1, authority="no certificate", scheme="https"))).reached


@asynccontextmanager
async def hanging() -> AsyncGenerator[int]:
    """The port of an issuer that never answers."""
    writers: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: writers.append(writer), "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    yield port
    for writer in writers:
        writer.close()
        await writer.wait_closed()
    server.close()
    await server.wait_closed()


async def test_an_issuer_that_hangs_is_given_up() -> None:
    async with hanging() as port:
        found = await redeemed(client(port), TokenEndpoints(patience_s=0.05))
        assert found == Redeemed(fault="the token endpoint has not answered in 0.05 s", reached=False)


async def test_logins_under_way_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oidc, "MOST_UNDER_WAY", 1)
    async with hanging() as port:
        endpoints, known = TokenEndpoints(), client(port)
        waiting = endpoints.redeem(code(known))
        assert isinstance(waiting, asyncio.Future)
        assert endpoints.redeem(code(known)) == Redeemed(fault="too many logins are under way", reached=False)
        await endpoints.close()
        assert waiting.cancelled()


def test_what_is_drawn_is_never_the_same() -> None:
    endpoints = TokenEndpoints()
    drawn = {endpoints.draw(DrawBytes(16, "a")).octets for _ in range(100)}
    assert len(drawn) == 100
    assert {len(each) for each in drawn} == {16}


def test_a_name_is_looked_up_and_secrets_are_shown_nowhere() -> None:
    known = client(dns_host="login.internal", dns_port=443)
    assert known.places == (("login.internal", 443),)
    assert SECRET.decode() not in repr(known)
    assert "the code" not in repr(code(known))
