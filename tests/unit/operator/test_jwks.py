"""Keys by URL: fetched, believed for a while, kept over a restart."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import fastforward_crds as crds
import pytest
from aiohttp import web
from fastforward_compiler.problem import ObjectRef
from fastforward_operator.jwks import MAX_BYTES, KeyFetcher

from support.eventually import eventually
from support.issuer import login_of

KEYS = json.dumps({"keys": [{"kty": "RSA", "kid": "1"}]}).encode()
OTHER = json.dumps({"keys": [{"kty": "RSA", "kid": "2"}]}).encode()
DEEP = (b'{"keys":' + b"[" * 100_000, 200)
POLICY = ObjectRef(kind="AuthPolicy", namespace="default", name="members")


@dataclass
class Issuer:
    """A real HTTP server with one document."""

    body: bytes = KEYS
    status: int = 200
    asked: int = 0
    url: str = ""

    async def answer(self, _: web.Request) -> web.Response:
        self.asked += 1
        return web.Response(body=self.body, status=self.status)


@asynccontextmanager
async def issuing() -> AsyncGenerator[Issuer]:
    issuer = Issuer()
    application = web.Application()
    application.router.add_get("/keys", issuer.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    issuer.url = f"http://127.0.0.1:{runner.addresses[0][1]}/keys"
    try:
        yield issuer
    finally:
        await runner.cleanup()


@dataclass
class Scene:
    """A fetcher, what it delivered, and a clock that tests move."""

    folder: Path
    now: float = 0.0
    delivered: list[Mapping[str, bytes | None]] = field(default_factory=list)
    fetcher: KeyFetcher = field(init=False)

    def __post_init__(self) -> None:
        self.fetcher = KeyFetcher(self.delivered.append, self.folder, clock=self._time)

    def _time(self) -> float:
        return time.time() + self.now

    def want(self, url: str, *, refresh: str = "1s", max_stale: str = "1h", login: bool = False) -> None:
        jwks = {"url": url, "refresh": refresh, "maxStale": max_stale}
        plain = {"name": "issuer", "jwt": {"issuer": "https://issuer", "jwks": jwks}}
        provider = login_of(jwks=jwks) if login else plain
        policy = crds.parse_resource(
            {
                "apiVersion": crds.API_VERSION,
                "kind": "AuthPolicy",
                "metadata": {"name": "members"},
                "spec": {
                    "targets": [{"kind": "Edge", "name": "public"}],
                    "authentication": {"providers": [provider]},
                },
            }
        )
        assert isinstance(policy, crds.AuthPolicy), policy
        self.fetcher.observe({POLICY: policy})


@asynccontextmanager
async def fetching(folder: Path) -> AsyncGenerator[Scene]:
    scene = Scene(folder)
    task = asyncio.create_task(scene.fetcher.run())
    try:
        yield scene
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_keys_are_delivered_once_and_again_only_when_they_change(tmp_path: Path) -> None:
    async with issuing() as issuer, fetching(tmp_path) as scene:
        scene.want(issuer.url)
        await eventually(lambda: issuer.asked >= 2)
        assert scene.delivered == [{issuer.url: KEYS}]
        issuer.body = OTHER
        await eventually(lambda: scene.delivered[-1] == {issuer.url: OTHER})


async def test_an_answer_that_comes_in_many_pieces_is_read_to_its_end(tmp_path: Path) -> None:
    async with issuing() as issuer, fetching(tmp_path) as scene:
        # More than a socket gives at a time.
        issuer.body = KEYS[:-1] + b" " * (MAX_BYTES - len(KEYS)) + b"}"
        scene.want(issuer.url)
        await eventually(lambda: scene.delivered)
        assert scene.delivered == [{issuer.url: issuer.body}]


async def test_keys_of_logins_are_fetched_as_well(tmp_path: Path) -> None:
    async with issuing() as issuer, fetching(tmp_path) as scene:
        scene.want(issuer.url, login=True)
        await eventually(lambda: scene.delivered)
        assert scene.delivered == [{issuer.url: KEYS}]


async def test_a_url_that_nobody_names_any_more_is_not_fetched(tmp_path: Path) -> None:
    async with issuing() as issuer, fetching(tmp_path) as scene:
        scene.want(issuer.url)
        await eventually(lambda: scene.delivered)
        scene.fetcher.observe({POLICY: None})
        assert scene.fetcher.urls == ()
        assert scene.delivered[-1] == {issuer.url: None}
        assert (scene.fetcher._wishes, scene.fetcher._answers, scene.fetcher._delivered) == ({}, {}, {})


async def test_an_invalid_policy_keeps_its_earlier_wishes(tmp_path: Path) -> None:
    async with issuing() as issuer, fetching(tmp_path) as scene:
        scene.want(issuer.url)
        await eventually(lambda: scene.fetcher.urls)
        error = (crds.FieldError(field="spec", message="It is wrong."),)
        invalid = crds.Invalid(kind="AuthPolicy", namespace="default", name="members", generation=2, errors=error)
        scene.fetcher.observe({POLICY: invalid})
        assert scene.fetcher.urls == (issuer.url,)


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"no json", 200), (b"[]", 200), (b"{}", 200), (KEYS, 500), (b"x" * (MAX_BYTES + 1), 200), DEEP],
)
async def test_a_bad_answer_changes_nothing(tmp_path: Path, body: bytes, status: int) -> None:
    async with issuing() as issuer, fetching(tmp_path) as scene:
        scene.want(issuer.url)
        await eventually(lambda: scene.delivered)
        issuer.body, issuer.status, asked = body, status, issuer.asked
        await eventually(lambda: issuer.asked > asked)
        issuer.body, issuer.status = OTHER, 200
        await eventually(lambda: len(scene.delivered) > 1)
        assert scene.delivered == [{issuer.url: KEYS}, {issuer.url: OTHER}]


async def test_keys_that_are_too_old_are_withdrawn(tmp_path: Path) -> None:
    async with issuing() as issuer, fetching(tmp_path) as scene:
        scene.want(issuer.url)
        await eventually(lambda: scene.delivered)
        issuer.status = 503
        asked = issuer.asked
        await eventually(lambda: issuer.asked > asked)
        assert len(scene.delivered) == 1
        scene.now += 3700
        await eventually(lambda: scene.delivered[-1] == {issuer.url: b""})


async def test_keys_that_a_changed_policy_finds_too_old_are_withdrawn(tmp_path: Path) -> None:
    async with issuing() as issuer, fetching(tmp_path) as scene:
        scene.want(issuer.url, max_stale="24h")
        await eventually(lambda: scene.delivered)
        issuer.status = 503
        scene.now += 7200
        scene.want(issuer.url, max_stale="1h")
        await eventually(lambda: scene.delivered[-1] == {issuer.url: b""})


async def test_keys_grow_too_old_also_where_they_could_not_be_kept_on_disk(tmp_path: Path) -> None:
    (tmp_path / "full").write_text("no folder")
    async with issuing() as issuer, fetching(tmp_path / "full") as scene:
        scene.want(issuer.url)
        await eventually(lambda: scene.delivered)
        issuer.status = 503
        scene.want(issuer.url, max_stale="2h")
        scene.now += 7300
        await eventually(lambda: scene.delivered == [{issuer.url: KEYS}, {issuer.url: b""}])


async def test_keys_grow_too_old_whatever_is_answered(tmp_path: Path) -> None:
    async with issuing() as issuer, fetching(tmp_path) as scene:
        scene.want(issuer.url)
        await eventually(lambda: scene.delivered)
        issuer.body, _ = DEEP
        scene.now += 3700
        await eventually(lambda: scene.delivered[-1] == {issuer.url: b""})


async def test_a_policy_that_comes_back_believes_no_keys_that_are_too_old(tmp_path: Path) -> None:
    async with issuing() as issuer, fetching(tmp_path) as scene:
        scene.want(issuer.url)
        await eventually(lambda: any(tmp_path.glob("*.json")))
        issuer.status = 503
        scene.fetcher.observe({POLICY: None})
        scene.now += 3700
        scene.want(issuer.url)
        await eventually(lambda: scene.fetcher.failures > 0)
        assert scene.delivered == [{issuer.url: KEYS}, {issuer.url: None}]
        scene.want(issuer.url, max_stale="2h")
        await eventually(lambda: scene.delivered[-1] == {issuer.url: KEYS})


async def test_a_restart_while_the_issuer_is_down_believes_what_is_not_too_old(tmp_path: Path) -> None:
    async with issuing() as issuer, fetching(tmp_path) as scene:
        scene.want(issuer.url)
        await eventually(lambda: scene.delivered and any(tmp_path.glob("*.json")))
        url = issuer.url
    async with fetching(tmp_path) as scene:
        scene.want(url)
        await eventually(lambda: scene.delivered == [{url: KEYS}])
    async with fetching(tmp_path) as scene:
        scene.now = 3700
        scene.want(url)
        await eventually(lambda: scene.fetcher.failures > 0)
        assert scene.delivered == []
