"""The webhook answers the API server and nobody else, whatever it is sent, and each check is seen to be needed."""

from __future__ import annotations

import asyncio
import json
import ssl
import warnings
from pathlib import Path

import fastforward_crds as crds
import pytest
from fastforward_operator.admission import door
from fastforward_operator.admission import judge as judge_module
from fastforward_operator.admission import server as server_module
from fastforward_operator.admission.callers import Callers
from fastforward_operator.admission.review import MAX_BYTES
from fastforward_operator.certificates import Certified

from security.webhook import Caller, Webhook, authority, client_certificate, review, serving
from support.resources import Document, upstream

GOOD = upstream("u", 80)
WRONG: Document = {**GOOD, "spec": {"endpoints": [{"address": "10.0.0.999", "port": 80}]}}


def strangers(webhook: Webhook) -> dict[str, Certified | None]:
    """Who is not the API server, and what they show."""
    return {
        "nothing": None,
        "another authority's": client_certificate(authority("other")),
        "the installation's authority's": client_certificate(webhook.own),
        "one of another name": client_certificate(webhook.cluster, "system:node:node-1"),
        "one of a longer name": client_certificate(webhook.cluster, "kube-apiserver.evil.example"),
        "one that ended": client_certificate(webhook.cluster, days=-3),
        "one for servers": client_certificate(webhook.cluster, server=True),
    }


async def answered(webhook: Webhook) -> set[str]:
    """The strangers who learn something."""
    found = set()
    for name, shows in strangers(webhook).items():
        status, _ = await webhook.caller(shows).post(review(GOOD))
        found |= {name} if status not in (0, 403) else set()
    return found


async def test_only_the_api_server_is_answered(tmp_path: Path) -> None:
    async with serving(tmp_path) as webhook:
        assert await webhook.api_server.allowed(GOOD) is True
        assert await webhook.api_server.allowed(WRONG) is False
        assert await answered(webhook) == set()
        assert len(webhook.asked) == 2


async def test_without_the_check_of_the_name_any_certificate_of_the_cluster_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Callers, "admits", lambda *_: True)
    async with serving(tmp_path) as broken:
        assert await answered(broken) == {"one of another name", "one of a longer name"}


async def test_without_the_check_of_the_certificate_everybody_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Callers, "admits", lambda *_: True)
    async with serving(tmp_path) as broken:
        broken.show("")
        await broken.server.stop()
        broken.server.context = server_module.RotatingContext(lambda: broken.shown)
        await broken.server.start()
        assert await answered(broken) == set(strangers(broken))


async def test_older_protocols_are_refused(tmp_path: Path) -> None:
    async with serving(tmp_path) as webhook:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, OSError)):
            await asyncio.open_connection("127.0.0.1", webhook.server.port, ssl=context)


def head(*lines: str) -> bytes:
    return "\r\n".join((*lines, "", "")).encode()


POST = "POST /validate HTTP/1.1"
JSON = "content-type: application/json"
HOSTILE: dict[str, tuple[bytes, set[int]]] = {
    "not HTTP": (b"\x16\x03\x01\x02\x00\x01" * 100, {0, 400}),
    "no body": (head(POST, "host: w", JSON), {400}),
    "too long": (head(POST, "host: w", JSON, f"content-length: {MAX_BYTES + 1}"), {0, 413}),
    "a length and chunks": (
        head(POST, "host: w", JSON, "content-length: 5", "transfer-encoding: chunked") + b"0\r\n\r\n",
        {0, 400},
    ),
    "two lengths": (
        head(POST, "host: w", JSON, "content-length: 2", "content-length: 3") + b"{}x",
        {0, 400},
    ),
    "a huge head": (head(POST, "host: w", f"x: {'y' * 100_000}"), {0, 400, 431}),
    "many headers": (head(POST, "host: w", *(f"x{n}: y" for n in range(50_000))), {0, 400, 431}),
    "GET": (head("GET /validate HTTP/1.1", "host: w"), {405}),
    "another path": (head("POST /../../etc/passwd HTTP/1.1", "host: w", JSON, "content-length: 0"), {400, 404}),
}
BODIES: dict[str, bytes] = {
    "empty": b"",
    "not JSON": b"<xml/>",
    "not UTF-8": b'{"apiVersion": "\xff\xfe"}',
    "deep": b"[" * 1_000_000,
    "deep in an object": review(GOOD).replace(b'"127.0.0.1"', b"[" * 50_000 + b"]" * 50_000),
    "long number": b"9" * 1_000_000,
    "null": b"null",
    "no uid": review(GOOD, uid=None),
    "object of another kind": review(GOOD, kind={"group": crds.GROUP, "version": crds.VERSION, "kind": "Edge"}),
    "object of another namespace": review(GOOD, namespace="other"),
    "object that is a list": review(GOOD, object=[1]),
}
ODD: dict[str, bytes] = {
    "unknown kind": review(GOOD, kind={"group": "example.com", "version": "v1", "kind": "Thing"}),
    "kind that is no mapping": review(GOOD, kind="Upstream"),
    "no object": review(GOOD, object=None),
    "deletion": review(GOOD, operation="DELETE", object=None, oldObject=GOOD),
    "status": review(GOOD, subResource="status"),
    "dry run": review(GOOD, dryRun=True),
    "no old object": review(GOOD, operation="UPDATE", oldObject=None),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_requests_that_are_none_do_no_harm(tmp_path: Path, name: str) -> None:
    sent, statuses = HOSTILE[name]
    async with serving(tmp_path) as webhook:
        assert (await webhook.api_server.say(sent))[0] in statuses
        assert webhook.asked == []
        assert await webhook.api_server.allowed(WRONG) is False


@pytest.mark.parametrize("name", BODIES)
async def test_a_body_that_is_no_review_is_refused_with_a_reason(tmp_path: Path, name: str) -> None:
    async with serving(tmp_path) as webhook:
        status, said = await webhook.api_server.post(BODIES[name])
        assert status == 400
        assert 0 < len(said) < 200
        assert webhook.asked == []
        assert await webhook.api_server.allowed(WRONG) is False


@pytest.mark.parametrize("name", ODD)
async def test_what_needs_no_verdict_is_taken(tmp_path: Path, name: str) -> None:
    async with serving(tmp_path) as webhook:
        status, said = await webhook.api_server.post(ODD[name])
        assert (status, json.loads(said)["response"]["allowed"]) == (200, True)


async def test_another_type_of_content_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path) as webhook:
        for kind in ("text/plain", "application/x-www-form-urlencoded", "application/json-patch+json"):
            assert (await webhook.api_server.post(review(GOOD), kind=kind))[0] == 415
        assert (await webhook.api_server.post(review(GOOD), kind="application/json; charset=utf-8"))[0] == 200


async def test_a_body_that_is_longer_than_told_is_not_read_on(tmp_path: Path) -> None:
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    sent = head(POST, "host: w", JSON, "transfer-encoding: chunked") + chunk * 40
    async with serving(tmp_path) as webhook:
        assert (await webhook.api_server.say(sent))[0] in (0, 413)
        assert webhook.asked == []


async def test_who_is_slow_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "DEADLINE_S", 0.5)
    async with serving(tmp_path) as webhook:
        slow = head(POST, "host: w", JSON, "content-length: 1000") + b"{"
        waiting = [asyncio.create_task(webhook.api_server.say(slow)) for _ in range(server_module.MOST_AT_ONCE)]
        await asyncio.sleep(0.1)
        tries = [await webhook.api_server.post(review(GOOD)) for _ in range(3)]
        assert tries[-1][0] == 200
        assert {status for status, _ in await asyncio.gather(*waiting)} == {503}


async def test_a_defect_of_ours_is_told_without_its_details(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path) as webhook:
        monkeypatch.setattr(judge_module, "_answer", lambda *_: {}["secret"])
        status, said = await webhook.api_server.post(review(GOOD))
        assert (status, b"secret" in said, b"its log" in said) == (500, False, True)
        monkeypatch.undo()
        assert await webhook.api_server.allowed(GOOD) is True


async def test_certificates_change_while_it_runs(tmp_path: Path) -> None:
    async with serving(tmp_path) as webhook:
        old = webhook.api_server
        reader, writer = await old.connect()
        webhook.own, webhook.cluster = authority("new own"), authority("new cluster")
        webhook.show(webhook.cluster.certificate)
        new = webhook.api_server
        assert await new.allowed(GOOD) is True
        # Whoever the former authority certified is a stranger now, and the former certificate is shown no more.
        assert await Caller(old.port, webhook.own, old.shows, tmp_path).allowed(GOOD) is None
        assert await Caller(old.port, old.believes, new.shows, tmp_path).allowed(GOOD) is None
        body = review(GOOD)
        writer.write(head(POST, "host: w", JSON, f"content-length: {len(body)}") + body)
        assert b"200" in await reader.readline()
        writer.transport.abort()


async def test_a_certificate_that_cannot_be_used_leaves_the_former_one(tmp_path: Path) -> None:
    async with serving(tmp_path) as webhook:
        webhook.shown = webhook.shown._replace(chain=b"nonsense")
        assert await webhook.api_server.allowed(GOOD) is True
        webhook.show(webhook.cluster.certificate)
        assert await webhook.api_server.allowed(GOOD) is True


async def test_strangers_who_crowd_the_door_keep_the_api_server_out_no_longer_than_it_takes_to_knock(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path) as webhook:
        crowd = [
            await asyncio.open_connection("127.0.0.1", webhook.server.port) for _ in range(3 * door.MOST_STRANGERS)
        ]
        assert await webhook.api_server.allowed(GOOD) is True
        gone = [await stays(reader) for reader, _ in crowd]
        # One made room for the API server.
        assert gone.count(True) == door.MOST_STRANGERS - 1
        for _, writer in crowd:
            writer.close()


async def stays(reader: asyncio.StreamReader) -> bool:
    """Whether a connection that nothing was said on is still open."""
    try:
        async with asyncio.timeout(0.05):
            return await reader.read(1) != b""
    except TimeoutError:
        return True
    except OSError:
        return False


async def test_who_says_nothing_at_the_door_has_to_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "HANDSHAKE_S", 0.2)
    async with serving(tmp_path) as webhook:
        reader, writer = await asyncio.open_connection("127.0.0.1", webhook.server.port)
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        writer.close()


async def test_it_ends_with_everybody_still_there(tmp_path: Path) -> None:
    async with serving(tmp_path) as webhook:
        strangers_ = [await asyncio.open_connection("127.0.0.1", webhook.server.port) for _ in range(3)]
        guests = [await webhook.api_server.connect() for _ in range(3)]
    for _, writer in (*strangers_, *guests):
        writer.transport.abort()
    await asyncio.sleep(0)
