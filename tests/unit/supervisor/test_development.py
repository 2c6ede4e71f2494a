"""Development credentials: made for what refers to them, kept over restarts, and accepted by real programs."""

import asyncio
import base64
import hashlib
import hmac
import json
import ssl
import stat
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import fastforward_crds as crds
import pytest
from fastforward_operator.providers.file import FileProvider
from fastforward_operator.supervisor.development import Development, DevelopmentError, missing_objects
from joserfc import jwt
from joserfc.jwk import KeySet

from support.repository import ROOT


def resources_of(folder: Path) -> list[crds.Resource]:
    return [r for r in FileProvider([folder]).load().changes.values() if isinstance(r, crds.Resource)]


BOOKSHOP = resources_of(ROOT / "examples" / "bookshop")


def provided(folder: Path, resources: Sequence[crds.Resource] = BOOKSHOP) -> dict[str, crds.Resource]:
    development = Development(folder)
    development.provide(resources)
    return {resource.metadata.name: resource for resource in resources_of(development.resources)}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def secret(found: dict[str, crds.Resource], name: str) -> crds.Secret:
    resource = found[name]
    assert isinstance(resource, crds.Secret)
    return resource


def test_what_the_bookshop_refers_to_is_made_and_nothing_else(tmp_path: Path) -> None:
    found = provided(tmp_path)
    assert set(found) == {"development-tls", "development-jwks", "development-api-keys"}
    assert {resource.metadata.namespace for resource in found.values()} == {"bookshop"}
    assert missing_objects([*BOOKSHOP, *found.values()]) == set()


def test_an_object_that_the_directory_has_is_left_to_it(tmp_path: Path) -> None:
    own = crds.parse_resource(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "development-tls", "namespace": "bookshop"}}
    )
    assert isinstance(own, crds.Secret)
    assert "development-tls" not in provided(tmp_path, [*BOOKSHOP, own])


def test_nothing_changes_on_the_next_start(tmp_path: Path) -> None:
    provided(tmp_path)
    before = contents(tmp_path)
    provided(tmp_path)
    assert contents(tmp_path) == before


def test_only_the_user_may_read_them(tmp_path: Path) -> None:
    provided(tmp_path / "dev")
    assert stat.S_IMODE((tmp_path / "dev").stat().st_mode) == 0o700
    assert {stat.S_IMODE((tmp_path / "dev" / name).stat().st_mode) for name in contents(tmp_path / "dev")} == {0o600}


def test_a_token_is_proved_by_the_published_keys(tmp_path: Path) -> None:
    found = provided(tmp_path)
    development = Development(tmp_path)
    (signatory,) = development.signatories()
    token = development.token(signatory, {"tenant": "acme"}, timedelta(minutes=5))
    keys = found["development-jwks"]
    assert isinstance(keys, crds.ConfigMap)
    claims = jwt.decode(token, KeySet.import_key_set(json.loads(keys.data["jwks.json"])), algorithms=["ES256"]).claims
    assert (claims["iss"], claims["aud"], claims["tenant"]) == (signatory.issuer, ["bookshop"], "acme")
    assert "d" not in json.loads(keys.data["jwks.json"])["keys"][0]


def test_every_tenant_has_an_api_key_of_which_only_the_hash_is_stored(tmp_path: Path) -> None:
    stored = secret(provided(tmp_path), "development-api-keys")
    keys = Development(tmp_path).api_keys()
    assert set(keys) == {"acme", "globex"}
    for tenant, text in keys.items():
        _, key_id, plain = text.split("_", 2)
        entry = json.loads(stored.value(key_id) or b"")
        pepper = stored.value("pepper") or b""
        assert entry["tenant"] == tenant
        assert entry["hash"] == hmac.new(pepper, plain.encode(), hashlib.sha256).hexdigest()
        assert plain not in base64.b64decode(stored.data[key_id]).decode()


def test_a_tenant_that_comes_later_gets_a_key_and_the_others_keep_theirs(tmp_path: Path) -> None:
    provided(tmp_path)
    before = Development(tmp_path).api_keys()
    late = crds.parse_resource(
        {"apiVersion": crds.API_VERSION, "kind": "Tenant", "metadata": {"name": "late", "namespace": "bookshop"}}
    )
    assert isinstance(late, crds.Tenant)
    provided(tmp_path, [*BOOKSHOP, late])
    after = Development(tmp_path).api_keys()
    assert set(after) == {*before, "late"}
    assert before.items() <= after.items()


def test_what_nothing_refers_to_any_more_is_taken_away(tmp_path: Path) -> None:
    provided(tmp_path)
    without = [resource for resource in BOOKSHOP if not isinstance(resource, crds.AuthPolicy)]
    assert set(provided(tmp_path, without)) == {"development-tls"}


async def test_a_strict_client_that_trusts_the_ca_accepts_the_certificate(tmp_path: Path) -> None:
    stored = secret(provided(tmp_path), "development-tls")
    for name in ("tls.crt", "tls.key"):
        (tmp_path / name).write_bytes(stored.value(name) or b"")
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    trusting = ssl.create_default_context(cafile=str(Development(tmp_path).ca_certificate))
    trusting.verify_flags |= ssl.VERIFY_X509_STRICT

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=serving)
    async with server:
        port = server.sockets[0].getsockname()[1]
        for host in ("bookshop.localhost", "admin.bookshop.localhost", "localhost"):
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting, server_hostname=host)
            writer.close()
            await writer.wait_closed()


@pytest.mark.parametrize("name", ["issuer.jwk", "api-keys.json", "bookshop.development-tls.json"])
def test_a_broken_file_is_one_sentence_with_the_remedy(tmp_path: Path, name: str) -> None:
    resources = [*FileProvider([ROOT / "examples" / "bookshop"]).load().changes.values()]
    known = [found for found in resources if isinstance(found, crds.Resource)]
    development = Development(tmp_path)
    development.provide(known)
    (tmp_path / name).write_text("{")
    with pytest.raises(DevelopmentError, match=r"can't be used \(a file in it is broken: .*\): remove that folder"):
        development.provide(known)
