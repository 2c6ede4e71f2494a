"""`ff collect`: everything that a maintainer needs to understand a gateway, in one file, without secrets.

In: what runs on this machine or in a cluster; directories. Out: a .tar.gz file. Called by cli/diagnosis. What can't be
got is told in its README, and does not keep the rest from being collected: it is when something is broken that one
needs it.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from fastforward_operator.providers.document import DocumentError, decode_document, split_documents
from fastforward_operator.supervisor.state import StateFolder

from .archive import MALFORMED, Archive
from .console import Console, ConsoleError, SocketConsole
from .held import TARGET
from .output import counted
from .redaction import REDACTED, Scrubber
from .source import Source, connect
from .where import Where

_TAIL = 2 << 20
"""Bytes of a log file."""
_TAIL_LINES = 5_000
"""Lines of a container's log."""
_PACKAGES = re.compile(r"^(fastforward|envoy|grpcio|protobuf|pydantic|kopf|aiohttp|granian|redis|uvloop|typer|rich)")
_SOURCE = re.compile(r":\d+$")
Document = dict[str, Any]


def run(directories: Sequence[Path], state: Path, file: Path | None, most_mib: int, where: Where) -> int:
    """Collect, and say what came of it."""
    path = file or Path(f"ff-collect-{time.strftime('%Y%m%d-%H%M%S')}.tar.gz")
    scrubber = Scrubber()
    archive = Archive(scrubber, most_mib << 20)
    gathered = _Gathering(archive, scrubber, directories, StateFolder(state), where)
    gathered.run()
    try:
        size = archive.write(path)
    except OSError as error:
        print(f"{path} can't be written ({error.strerror}): name another file with -o.", file=sys.stderr)
        return 1
    print(f"{path}: {counted(len(archive.names), 'file')}, {size} bytes, without secrets; its README says what it is.")
    for each in archive.missing:
        print(scrubber.scrub(f"Not in it: {each}"), file=sys.stderr)
    return 0


class _Gathering:
    """What is asked of whom, read top to bottom: first for what is secret, so that all else is written without it."""

    def __init__(
        self, archive: Archive, scrubber: Scrubber, directories: Sequence[Path], state: StateFolder, where: Where
    ) -> None:
        self._archive = archive
        self._scrubber = scrubber
        self._directories = directories
        self._state = state
        self._where = where
        self._cluster: Any = None
        if where.is_cluster:
            from .cluster import Cluster  # noqa: PLC0415 - whoever asks no cluster needs none of it

            self._cluster = Cluster(where)

    def run(self) -> None:
        """Everything."""
        source = self._try("operator", lambda: connect(self._where))
        statuses = self._try("status/objects.json", source.objects) if source is not None else None
        documents = self._objects(statuses or [])
        self._scrubber.spare(*_names(documents), *_names(statuses or []))
        self._versions()
        if statuses is not None:
            self._archive.add_json("status/objects.json", "objects with conditions and problems", statuses)
        for kind, found in documents_by_kind(documents).items():
            self._archive.add_documents(
                f"objects/{kind}.yaml", f"what is written, {counted(len(found), 'object')}", found
            )
        if source is not None:
            self._of_operator(source)
        for console in self._try("proxies", self._consoles) or ():
            self._of_proxy(console)
        if self._cluster is None:
            self._log_files()
        else:
            self._of_cluster()

    def _objects(self, statuses: Iterable[Document]) -> list[Document]:
        """What is written, and what of that is secret."""
        if self._cluster is not None:
            found = self._try("objects", self._cluster.documents) or []
            for document in self._try("other Secrets", self._cluster.other_secrets) or ():
                self._scrubber.learn_document(document)
        else:
            files = {*_files(self._directories), *_sources(statuses)}
            beside = {each for file in files for each in _files([file.parent])}
            found = [document for file in sorted(files) for document in self._read(file)]
            for file in sorted({*beside, *_files([self._state.dev])} - files):
                for document in self._read(file, told=False):
                    self._scrubber.learn_document(document)
            self._learn_development()
        for document in found:
            self._scrubber.learn_document(document)
        return found

    def _read(self, file: Path, *, told: bool = True) -> list[Document]:
        """Its objects, by the reader of operators: its bounds are those of what can be looked through."""
        found: list[Document] = []
        lacking: list[str] = []
        try:
            for chunk in split_documents(file.read_bytes(), as_json=file.suffix == ".json"):
                try:
                    found += objects_of(decode_document(chunk))
                except DocumentError as error:
                    # Without its structure what is secret in it can't be told from the rest.
                    lacking.append(f"line {chunk.line + error.line - 1}: {error.message.removesuffix('.')}")
        except OSError as error:
            lacking.append(error.strerror or type(error).__name__)
        self._archive.missing += [f"{file}: it can't be read ({why})." for why in lacking if told]
        return found

    def _learn_development(self) -> None:
        """The credentials of `ff up`."""
        for file in self._state.dev.glob("*") if self._state.dev.is_dir() else ():
            if file.suffix in (".key", ".jwk") or file.name.endswith("api-keys.json"):
                with contextlib.suppress(OSError, UnicodeDecodeError):
                    self._scrubber.learn(file.read_text())

    def _versions(self) -> None:
        packages = {each.name: each.version for each in metadata.distributions() if _PACKAGES.match(each.name or "")}
        value: Document = {
            "ff": packages.get("fastforward-operator", ""),
            "python": sys.version,
            "platform": platform.platform(),
            "cores": os.cpu_count(),
            "packages": dict(sorted(packages.items())),
        }
        if self._cluster is not None:
            value["cluster"] = self._try("version of the cluster", self._cluster.version)
        self._archive.add_json("versions.json", "of this command, its packages, the machine and the cluster", value)

    def _of_operator(self, source: Source) -> None:
        told: tuple[tuple[str, str, Callable[[], Any]], ...] = (
            ("status/nodes.json", "proxies and decision services, what they acknowledged", source.proxies),
            ("status/hops.json", "hops of EntryPoints", source.hops),
            ("wanted/envoy.json", "what proxies should have", lambda: _without_secrets(source.rendered())),
            ("wanted/decision.json", "what decision services should have", lambda: _decision(source)),
        )
        for name, about, ask in told:
            found = self._try(name, ask)
            if found is not None:
                self._archive.add_json(name, about, found)
        metrics = self._try("metrics/operator.txt", source.metrics)
        if metrics is not None:
            self._archive.add_text("metrics/operator.txt", "metrics of the operator", metrics)

    def _consoles(self) -> Sequence[Console]:
        if self._cluster is not None:
            return self._cluster.consoles()
        return [SocketConsole(self._state.admin_socket)]

    def _of_proxy(self, console: Console) -> None:
        node = console.name if self._cluster is not None else "envoy"
        dump = self._try(f"proxies/{node}/config_dump.json", lambda: json.loads(console.ask(TARGET)))
        if dump is not None:
            self._archive.add_json(f"proxies/{node}/config_dump.json", "what it has", _blanked(dump))
        for target, name in (
            ("/server_info", "server_info.json"),
            ("/stats?usedonly", "stats.txt"),
            ("/clusters", "clusters.txt"),
        ):
            found = self._try(
                f"proxies/{node}/{name}", lambda target=target: console.ask(target).decode(errors="replace")
            )
            if found is not None:
                self._archive.add_text(f"proxies/{node}/{name}", f"what its console says at {target}", found)

    def _log_files(self) -> None:
        found = sorted(self._state.logs.glob("*.log*")) if self._state.logs.is_dir() else []
        if not found:
            self._archive.missing.append(f"logs: there are none in {self._state.logs}; --state names another folder.")
        for file in found:
            text = self._try(f"logs/{file.name}", lambda file=file: _tail(file))
            if text is not None:
                self._archive.add_text(f"logs/{file.name}", "its end", text, is_log=True)

    def _of_cluster(self) -> None:
        pods = self._try("cluster/pods.json", self._cluster.pods) or []
        self._archive.add_json("cluster/pods.json", "pods of the gateway, without their environment", _pods(pods))
        events = self._try("cluster/events.json", self._cluster.events)
        if events is not None:
            self._archive.add_json(
                "cluster/events.json", "events in the gateway's namespace and about its objects", events
            )
        for pod in pods:
            name = pod["metadata"]["name"]
            for container in [each["name"] for each in pod["spec"]["containers"]]:
                self._pod_log(name, container)
                restarts = [
                    each.get("restartCount", 0)
                    for each in pod.get("status", {}).get("containerStatuses", ())
                    if each["name"] == container
                ]
                if any(restarts):
                    self._pod_log(name, container, previous=True)

    def _pod_log(self, pod: str, container: str, *, previous: bool = False) -> None:
        name = f"logs/{pod}.{container}{'.previous' if previous else ''}.log"
        options = (f"--tail={_TAIL_LINES}", *(("--previous",) if previous else ()))
        text = self._try(name, lambda: _said(self._cluster.log_command(pod, *options, container=container)))
        if text is not None:
            self._archive.add_text(name, "its end", text, is_log=True)

    def _try(self, name: str, ask: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever is asked for
        """None where it can't be had, which is told. Commands say why on standard error and end."""
        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said):
                found = ask()
        except SystemExit:
            self._archive.missing.append(f"{name}: {said.getvalue().strip()}")
            return None
        except (*MALFORMED, ConsoleError, OSError, subprocess.SubprocessError) as error:
            self._archive.missing.append(f"{name}: {str(error) or type(error).__name__}")
            return None
        told = said.getvalue().strip().splitlines()
        self._archive.missing.extend(each for each in told if each not in self._archive.missing)
        return found


def objects_of(value: Any, kind: str = "") -> Iterator[Document]:  # noqa: ANN401 - a document may be anything
    """Those that a document holds: itself, or the items of a list, which may leave out the kind of all."""
    if isinstance(value, list):
        for each in value:
            yield from objects_of(each, kind)
    elif isinstance(value, dict):
        of = str(value.get("kind") or kind)
        if of.lower().endswith("list") and isinstance(value.get("items"), list):
            yield from objects_of(value["items"], of[: -len("list")])
        else:
            yield value if "kind" in value or not kind else {"kind": kind, **value}


def documents_by_kind(documents: Iterable[Document]) -> dict[str, list[Document]]:
    """By kind, in the order of the kinds' names."""
    found: dict[str, list[Document]] = {}
    for document in documents:
        kind = str(document.get("kind", ""))
        found.setdefault(kind if kind.isalnum() else "Other", []).append(document)
    return dict(sorted(found.items()))


def _names(documents: Iterable[Document]) -> Iterator[str]:
    for document in documents:
        given = document.get("metadata")
        metadata_ = given if isinstance(given, dict) else document
        yield from (str(metadata_[field]) for field in ("name", "namespace") if metadata_.get(field))
        yield str(document.get("kind", ""))
        spec = document.get("spec")
        named = spec if isinstance(spec, dict) else document
        for field in ("hosts", "hostnames"):
            hosts = named.get(field)
            yield from map(str, hosts if isinstance(hosts, list) else ())


def _files(roots: Iterable[Path]) -> Iterator[Path]:
    for root in roots:
        found = root.rglob("*") if root.is_dir() else (root,)
        yield from (each.absolute() for each in found if each.suffix in (".yaml", ".yml", ".json") and _is_file(each))


def _is_file(path: Path) -> bool:
    """None, where this user may not look at it."""
    try:
        return path.is_file()
    except OSError:
        return False


def _sources(statuses: Iterable[Document]) -> Iterator[Path]:
    """Files that objects are written in, if they are on this machine."""
    for status in statuses:
        path = Path(_SOURCE.sub("", status.get("source") or ""))
        if path.is_absolute() and _is_file(path):
            yield path


def _without_secrets(rendered: Iterable[Document]) -> list[Document]:
    from .envoyjson import canonical  # noqa: PLC0415 - Envoy's definitions take a while to be imported

    return [
        {
            **each,
            "resource": _blanked(canonical(each["resource"]) if _may_hold_some(each["resource"]) else each["resource"]),
        }
        for each in rendered
    ]


def _may_hold_some(body: Document) -> bool:
    """Most tables hold nothing that Envoy calls sensitive, and looking into each of ten thousand takes minutes."""
    text = json.dumps(body)
    return any(word in text for word in ("inline_string", "inline_bytes", "password", "secret", "token"))


def _blanked(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Envoy's Secrets by name only: of some kinds Envoy itself shows the content."""
    if isinstance(value, list):
        return [_blanked(each) for each in value]
    if not isinstance(value, dict):
        return value
    if str(value.get("@type", "")).endswith(".tls.v3.Secret"):
        return {"@type": value["@type"], "name": value.get("name", ""), "content": REDACTED}
    return {name: _blanked(each) for name, each in value.items()}


def _decision(source: Source) -> list[Document]:
    from .render import decision_body  # noqa: PLC0415 - as above

    return [decision_body(each, show_secrets=False) for each in source.snapshot().resources]


def _pods(pods: Iterable[Document]) -> list[Document]:
    kept = ("name", "image", "args", "resources", "ports")
    return [
        {
            "metadata": {field: pod["metadata"].get(field) for field in ("name", "labels", "creationTimestamp")},
            "containers": [{field: each.get(field) for field in kept} for each in pod["spec"]["containers"]],
            "node": pod["spec"].get("nodeName"),
            "status": pod.get("status"),
        }
        for pod in pods
    ]


def _tail(file: Path) -> str:
    with file.open("rb") as opened:
        size = opened.seek(0, os.SEEK_END)
        opened.seek(max(0, size - _TAIL))
        if size > _TAIL:
            opened.readline()
        return opened.read().decode(errors="replace")


def _said(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    if done.returncode:
        raise OSError(done.stderr.decode(errors="replace").strip().rpartition("\n")[2])
    return done.stdout.decode(errors="replace")
