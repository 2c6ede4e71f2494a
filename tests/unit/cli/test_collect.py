"""`ff collect` gets what can be got, says what can't, and no byte of a planted secret is in the file."""

from __future__ import annotations

import base64
import errno
import json
import os
import secrets
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from fastforward_operator.cli.archive import Archive
from fastforward_operator.cli.redaction import Scrubber

from support.ff import Said, ff, ff_process
from support.operator_api import described, node, operator_api

from .test_proxy import body, console, dump, wanted


def members(path: Path) -> dict[str, str]:
    """Content of each by its name, without the folder."""
    found = {}
    with tarfile.open(path) as tar:
        for entry in tar:
            file = tar.extractfile(entry)
            assert file is not None
            assert entry.name.startswith(f"{path.name.removesuffix('.tar.gz')}/")
            found[entry.name.partition("/")[2]] = file.read().decode()
    return found


class Planted:
    """A gateway on this machine, with secrets wherever users have them."""

    def __init__(self, folder: Path) -> None:
        self.names = (
            "secret",
            "encoded",
            "binary",
            "header",
            "cookie",
            "url",
            "query",
            "remembered",
            "logged",
            "developer",
        )
        self.secrets = {name: f"S{secrets.token_urlsafe(18)}z" for name in self.names}
        self.folder, self.state = folder, folder / "state"
        for part in ("state/logs", "state/dev", "resources", "state/run"):
            (folder / part).mkdir(parents=True)
        self._write_resources()
        self._write_state()

    def _write_resources(self) -> None:
        secret = self.secrets
        data = {"key": base64.b64encode(secret["encoded"].encode()).decode()}
        documents = [
            {"kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": secret["secret"]}, "data": data},
            {
                "kind": "Route",
                "metadata": {"name": "r", "annotations": {"x.last-applied-configuration": secret["secret"]}},
                "spec": {
                    "requestHeaders": {"set": [{"name": "authorization", "value": f"Basic {secret['header']}"}]},
                    "keys": f"https://me:{secret['url']}@issuer.example/keys?sig={secret['query']}",
                },
            },
        ]
        (self.folder / "resources" / "all.yaml").write_text(yaml.safe_dump_all(documents))
        other = {"kind": "Secret", "metadata": {"name": "beside"}, "stringData": {"b": secret["binary"]}}
        (self.folder / "resources" / "beside.yaml").write_text(yaml.safe_dump(other))

    def _write_state(self) -> None:
        secret = self.secrets
        lines = [
            json.dumps({"path": f"/orders?token={secret['query']}", "userAgent": secret["secret"]}),
            f"cookie: session={secret['cookie']}; x=1",
            f"Authorization: Bearer {secret['logged']}",
            f"a file says {secret['binary']} and {quote(secret['encoded'])} and {secret['developer']}",
        ]
        (self.state / "logs" / "access.log").write_text("\n".join(lines))
        (self.state / "dev" / "api-keys.json").write_text(json.dumps({"acme": secret["developer"]}))

    def found_in(self, text: str) -> set[str]:
        """Names of the secrets of which anything is there."""
        ways: tuple[Callable[[str], str], ...] = (
            str,
            quote,
            lambda each: base64.b64encode(each.encode()).decode(),
            lambda each: each.encode().hex(),
        )
        return {name for name, value in self.secrets.items() if any(way(value) in text for way in ways)}

    def collect(self, file: Path, *arguments: str) -> Said:
        found = [{**described("Route", "r"), "source": f"{self.folder / 'resources' / 'all.yaml'}:9"}]
        tls = {"tls_certificate": {"private_key": {"inline_string": self.secrets["remembered"]}}}
        secret = {"name": "s", "version_info": "1", "secret": body("Secret", "s", **tls)}
        header = {"header": {"key": "Authorization", "value": self.secrets["header"]}}
        route = body("Listener", "in", metadata={"filter_metadata": {"x": header}})
        held = dump(Secrets={"dynamic_active_secrets": [secret]})
        with (
            console(self.state / "run", held),
            operator_api(
                found, [node("envoy", "envoy")], rendered=[wanted(route), wanted(body("Secret", "s", **tls))]
            ) as api,
        ):
            return ff("collect", "--state", self.state, "--api", api, "-o", file, *arguments)


@pytest.fixture
def planted(tmp_path: Path) -> Planted:
    return Planted(tmp_path)


def test_no_byte_of_a_planted_secret_is_in_it(planted: Planted, tmp_path: Path) -> None:
    said = planted.collect(tmp_path / "r.tar.gz")
    assert (said.code, said.err) == (0, "")
    found = members(tmp_path / "r.tar.gz")
    assert planted.found_in("\n".join((*found, *found.values(), said.out, said.err))) == set()
    assert "name: r" in found["objects/Route.yaml"]
    assert yaml.safe_load(found["objects/Secret.yaml"])["data"] == {"key": "[redacted]"}
    assert {"README.txt", "versions.json", "status/objects.json", "status/nodes.json", "wanted/envoy.json"} <= set(
        found
    )
    assert {"proxies/envoy/config_dump.json", "logs/access.log", "metrics/operator.txt"} <= set(found)


def test_the_scan_for_planted_secrets_finds_what_is_not_taken_out(
    planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build that takes nothing out: all that was planted is there to be found, but what is never asked for."""
    monkeypatch.setattr(Scrubber, "scrub", lambda _, text: text)
    monkeypatch.setattr(Scrubber, "clean", lambda _, value: value)
    monkeypatch.setattr(Scrubber, "clean_document", lambda _, document: document)
    planted.collect(tmp_path / "r.tar.gz")
    found = planted.found_in("\n".join(members(tmp_path / "r.tar.gz").values()))
    # What Envoys hold as Secrets is left out by the type of the resource.
    assert found == set(planted.names) - {"remembered"}


def test_only_its_owner_may_read_it_and_no_link_is_followed(planted: Planted, tmp_path: Path) -> None:
    planted.collect(tmp_path / "r.tar.gz")
    assert stat.S_IMODE((tmp_path / "r.tar.gz").stat().st_mode) == 0o600
    (tmp_path / "link.tar.gz").symlink_to(tmp_path / "elsewhere")
    said = planted.collect(tmp_path / "link.tar.gz")
    assert (said.code, "can't be written" in said.err) == (1, True)
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_that_others_may_read_is_replaced_and_not_written_to(tmp_path: Path) -> None:
    path = tmp_path / "r.tar.gz"
    path.write_text("old")
    path.chmod(0o644)
    archive = Archive(Scrubber(), 1 << 20)
    archive.add_text("a.txt", "a text", "new")
    with path.open() as opened_before:
        assert archive.write(path) == path.stat().st_size
        assert opened_before.read() == "old"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert members(path)["a.txt"] == "new"
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="no file"):
        Archive(Scrubber(), 1 << 20).write(tmp_path / "pipe")
    assert [each.name for each in tmp_path.iterdir()] == ["pipe"]


def test_of_an_archive_that_can_not_be_written_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Archive, "_readme", fail)
    (tmp_path / "r.tar.gz").write_text("old")
    with pytest.raises(OSError, match="No space"):
        Archive(Scrubber(), 1 << 20).write(tmp_path / "r.tar.gz")
    assert [each.read_text() for each in tmp_path.iterdir()] == ["old"]


def test_where_nothing_runs_it_says_what_it_could_not_get(tmp_path: Path) -> None:
    said = ff("collect", "--state", tmp_path / "none", "--api", "http://127.0.0.1:1", "-o", tmp_path / "r.tar.gz")
    assert said.code == 0
    readme = members(tmp_path / "r.tar.gz")["README.txt"]
    lacking = readme.partition("What could not be got")[2]
    for each in (
        "status/objects.json: No operator answers",
        "config_dump.json: No Envoy answers",
        "logs: there are none",
    ):
        assert each in lacking
        assert each in said.err


def test_a_source_that_can_not_be_looked_at_is_none(tmp_path: Path) -> None:
    """An operator of another machine, or of another user, names it."""
    with operator_api([{**described("Route", "r"), "source": f"/{'a' * 5000}.yaml:9"}], []) as api:
        said = ff("collect", "--state", tmp_path / "none", "--api", api, "-o", tmp_path / "r.tar.gz")
    assert said.code == 0
    assert '"name": "r"' in members(tmp_path / "r.tar.gz")["status/objects.json"]


def test_a_file_that_is_no_yaml_is_left_out_and_told(planted: Planted, tmp_path: Path) -> None:
    broken = planted.folder / "resources" / "broken.yaml"
    broken.write_text(f"kind: Secret\nstringData: {{a: '{planted.secrets['header']}\n")
    said = planted.collect(tmp_path / "r.tar.gz", "--from", str(planted.folder / "resources"))
    assert f"Not in it: {broken}: it can't be read" in said.err
    assert planted.found_in("".join(members(tmp_path / "r.tar.gz").values())) == set()


def test_secrets_in_a_list_are_secrets_as_well(planted: Planted, tmp_path: Path) -> None:
    """As `kubectl get secret,authpolicy -o yaml` writes them, and as the API server answers."""
    hidden, policy = planted.secrets, {"kind": "AuthPolicy", "metadata": {"name": "p"}}
    encoded = base64.b64encode(hidden["logged"].encode()).decode()
    listed = {"kind": "List", "items": [{"kind": "Secret", "data": {"a": encoded}}, policy]}
    bare = {"kind": "SecretList", "items": [{"metadata": {"name": "bare"}, "stringData": {"a": hidden["cookie"]}}]}
    (planted.folder / "resources" / "list.yaml").write_text(yaml.safe_dump_all([listed, {"kind": "List"}]))
    (planted.folder / "resources" / "bare.json").write_text(json.dumps(bare))
    (planted.state / "logs" / "more.log").write_text(f"{hidden['logged']} or {hidden['cookie']}")
    planted.collect(tmp_path / "r.tar.gz", "--from", str(planted.folder / "resources"))
    found = members(tmp_path / "r.tar.gz")
    assert planted.found_in("".join(found.values())) == set()
    assert yaml.safe_load(found["objects/AuthPolicy.yaml"]) == policy
    assert {"bare"} <= {
        each.get("metadata", {}).get("name") for each in yaml.safe_load_all(found["objects/Secret.yaml"])
    }


@pytest.mark.parametrize(
    "text",
    [
        "kind: Secret\ndata: [a]\n",
        "kind: Route\nmetadata: books\n",
        "kind: Route\nmetadata: {annotations: [x], name: {a: b}}\nspec: 1\n",
        "kind: [Route]\nspec: {hosts: a}\n",
        f"kind: Secret\nstringData: {{a: '{'[' * 5000}'}}\n",
    ],
)
def test_a_malformed_document_does_not_keep_the_rest_from_being_collected(
    text: str, planted: Planted, tmp_path: Path
) -> None:
    (planted.folder / "resources" / "malformed.yaml").write_text(text)
    said = planted.collect(tmp_path / "r.tar.gz", "--from", str(planted.folder / "resources"))
    assert (said.code, said.err) == (0, "")
    assert "name: r" in members(tmp_path / "r.tar.gz")["objects/Route.yaml"]


@pytest.mark.parametrize("text", [f"kind: Route\nspec: {'[' * 3000}{']' * 3000}\n", "kind: Route\nspec: &a [*a]\n"])
def test_a_document_that_is_too_deep_is_left_out_and_told(text: str, planted: Planted, tmp_path: Path) -> None:
    deep = planted.folder / "resources" / "deep.yaml"
    deep.write_text(f"kind: Route\nmetadata: {{name: neighbour}}\n---\n{text}")
    said = planted.collect(tmp_path / "r.tar.gz", "--from", str(planted.folder / "resources"))
    assert said.code == 0
    assert f"Not in it: {deep}: it can't be read (line 5: " in said.err
    assert "name: neighbour" in members(tmp_path / "r.tar.gz")["objects/Route.yaml"]


def test_an_object_that_cannot_be_written_does_not_keep_its_neighbours_out() -> None:
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    archive = Archive(Scrubber(), 1 << 20)
    archive.add_documents("objects/Route.yaml", "", [{"kind": "Route", "spec": deep}, {"kind": "Route"}])
    assert archive.names == ["objects/Route.yaml"]
    assert archive.missing == ["objects/Route.yaml: object 1 can't be written (RecursionError)."]


def test_its_size_is_bounded_and_the_end_of_a_log_is_kept(planted: Planted, tmp_path: Path) -> None:
    with (planted.state / "logs" / "operator.log").open("w") as log:
        for number in range(60_000):
            log.write(f"line {number} {'x' * 60}\n")
    planted.collect(tmp_path / "r.tar.gz")
    log_text = members(tmp_path / "r.tar.gz")["logs/operator.log"]
    assert len(log_text) <= 2 << 20
    assert log_text.startswith("line ")
    assert log_text.splitlines()[-1].startswith("line 59999 ")
    small = planted.collect(tmp_path / "small.tar.gz", "--most", "1")
    assert "Not in it: logs/operator.log: no room is left" in small.err
    assert sum(map(len, members(tmp_path / "small.tar.gz").values())) < 2 << 20


KUBECTL = """\
#!/bin/sh
case "$*" in
*exec*config_dump*) cat {folder}/dump ;;
*exec*) echo 'stat: 1' ;;
*port-forward*) echo "Forwarding from 127.0.0.1:{port} -> 9080"; exec sleep 60 ;;
*logs*--previous*) echo 'it died of {secret}' ;;
*logs*--container\\ envoy*) echo 'authorization: Bearer {unknown}' ;;
*logs*) echo 'Error from server (Forbidden): no logs for you' >&2; exit 1 ;;
*/version) echo '{{"gitVersion": "v1.34"}}' ;;
*/secrets*use%21%3Dtrue*) cat {folder}/other-secrets ;;
*/secrets*use%3Dtrue*) cat {folder}/secrets ;;
*/configmaps*use%3Dtrue*) cat {folder}/configmaps ;;
*/secrets* | */configmaps*) echo '{{"items": [{{"metadata": {{"name": "unlabelled"}}, "data": {{"a": "b"}}}}]}}' ;;
*/events*) cat {folder}/events ;;
*component%3Doperator*) echo '{{"items": [{{"metadata": {{"name": "operator-0"}}}}]}}' ;;
*/pods*) cat {folder}/pods ;;
*) echo '{{"items": []}}' ;;
esac
"""


def items(*found: dict[str, Any]) -> str:
    return json.dumps({"items": found})


def test_of_a_cluster_it_has_pods_events_and_logs(tmp_path: Path) -> None:
    secret, unknown, other = (secrets.token_urlsafe(18) for _ in range(3))
    container = {"name": "envoy", "image": "e", "env": [{"name": "X", "value": unknown}]}
    pod = {
        "metadata": {"name": "envoy-1", "annotations": {"a": unknown}},
        "spec": {"containers": [container, {"name": "companion", "image": "c"}]},
        "status": {"phase": "Running", "containerStatuses": [{"name": "envoy", "restartCount": 2}]},
    }
    event = {
        "metadata": {"namespace": "shop", "name": "e"},
        "involvedObject": {"kind": "Route", "name": "r"},
        "message": f"refused, for {secret} is wrong, as is {other}",
    }
    of_gateway_api = {**event, "involvedObject": {"kind": "HTTPRoute", "name": "h"}, "message": "no listener"}
    elsewhere = {**event, "involvedObject": {"kind": "Pod", "name": "p"}, "message": "no node"}
    encoded = base64.b64encode(secret.encode()).decode()
    answers = {
        "secrets": items({"metadata": {"name": "s", "namespace": "shop"}, "data": {"a": encoded}}),
        "other-secrets": items({"metadata": {"name": "unread"}, "stringData": {"a": other}}),
        "configmaps": items({"metadata": {"name": "read", "namespace": "shop"}}),
        "pods": items(pod),
        "events": items(event, of_gateway_api, elsewhere),
        "dump": json.dumps(dump()),
    }
    for name, answer in answers.items():
        (tmp_path / name).write_text(answer)
    script = tmp_path / "kubectl"
    with operator_api([], [node("envoy-1", "envoy")], rendered=[wanted(body("Cluster", "a"))]) as api:
        port = api.rpartition(":")[2]
        script.write_text(KUBECTL.format(folder=tmp_path, port=port, secret=secret, unknown=unknown))
        script.chmod(0o755)
        file = tmp_path / "r.tar.gz"
        path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
        said = ff_process("collect", "--context", ".", "-o", file, PATH=path)
    assert said.code == 0
    found = members(file)
    whole = "\n".join((*found, *found.values(), said.out, said.err))
    assert [each for each in (secret, encoded, unknown, other, "unread", "unlabelled") if each in whole] == []
    assert [yaml.safe_load(found[f"objects/{kind}.yaml"])["metadata"]["name"] for kind in ("Secret", "ConfigMap")] == [
        "s",
        "read",
    ]
    assert found["logs/envoy-1.envoy.previous.log"] == "it died of [redacted]\n"
    events = [each["message"] for each in json.loads(found["cluster/events.json"])]
    assert events == ["refused, for [redacted] is wrong, as is [redacted]", "no listener"]
    assert json.loads(found["cluster/pods.json"])[0]["status"]["phase"] == "Running"
    assert json.loads(found["versions.json"])["cluster"] == {"gitVersion": "v1.34"}
    assert "proxies/envoy-1/config_dump.json" in found
    assert "Not in it: logs/envoy-1.companion.log: Error from server (Forbidden): no logs for you" in said.err
