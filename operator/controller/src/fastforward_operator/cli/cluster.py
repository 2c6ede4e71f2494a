"""A cluster as commands see it: objects, and what their statuses say, with the user's own access.

In: a context of the kubeconfig. Out: objects, proxies, the decision snapshot, as from a running operator; one sentence
and exit code 1 when the cluster does not answer. Called by source. It is kubectl that is
asked: it knows every way to log in, and proxies' acknowledgements are behind a port that only it can forward.
"""

from __future__ import annotations

import json
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlencode

import fastforward_crds as crds

from fastforward_operator.kubernetes import rbac
from fastforward_operator.kubernetes.client import JUDGED
from fastforward_operator.providers import Batch
from fastforward_operator.providers.kubernetes import USED, WATCHED, Watched

from .client import OperatorClient
from .console import PodConsole
from .told import Document, Ownership, described
from .where import Where

if TYPE_CHECKING:
    from fastforward.snapshot.v1 import snapshot_pb2

_SECONDS = 30.0
_AT_ONCE = 6
_OPERATORS = "app.kubernetes.io/part-of=fastforward,app.kubernetes.io/component=operator"
_ENVOYS = "app.kubernetes.io/part-of=fastforward,app.kubernetes.io/component=envoy"
_OURS = "app.kubernetes.io/part-of=fastforward"
_API_PORT = 9080
_FORWARDING = re.compile(r"Forwarding from (127\.0\.0\.1:\d+)")
_OTHER_SECRETS = tuple(each._replace(selector=USED.replace("=", "!=")) for each in WATCHED if each.kind == "Secret")


class _UnansweredError(Exception):
    """Nobody answers; the message is a sentence for people."""


@contextmanager
def _told() -> Generator[None]:
    """Says why nobody answers, and ends the command. Around threads, not in them: each of them would say it."""
    try:
        yield
    except _UnansweredError as error:
        _fail(str(error))


class Cluster:
    """Asks one cluster."""

    def __init__(self, where: Where) -> None:
        self._flags = where.flags
        self._operators: list[str] | None = None
        """Names of their pods, once they have been asked for."""
        self._listed: dict[tuple[Watched, str], list[Document]] = {}
        """What has been listed, by kind and namespace."""

    def objects(self, *, kind: str = "", namespace: str = "", name: str = "") -> list[Document]:
        """Objects with their conditions; `kind`, `namespace` and `name` narrow them down."""
        watched = [
            each
            for each in WATCHED
            if each.kind in JUDGED and kind in ("", each.kind) and not (namespace and each.of_cluster)
        ]
        found = [document for listed in self._lists(watched, namespace) for document in listed]
        ours = Ownership(lambda kind: self._lists(each for each in WATCHED if each.kind == kind)[0])
        return [described(each) for each in found if name in ("", each["metadata"]["name"]) and ours.has(each)]

    def proxies(self) -> list[Document]:
        """Nodes of every operator; none, and a line that says why, where no operator can be asked."""
        return self._of_operators("Proxies and what they acknowledged", lambda operator: operator.proxies())

    def hops(self) -> list[Document]:
        """Hops of the EntryPoints of every operator."""
        return self._of_operators("Hops", lambda operator: operator.hops())

    def messages(self, id_: str) -> list[Document]:
        """What the EntryPoints of every operator remember."""
        return self._of_operators("Messages", lambda operator: operator.messages(id_))

    def rendered(self) -> list[Document]:
        """What proxies should have, as the first operator says that can be asked: all say the same."""
        for pod in self._operator_pods("What proxies should have"):
            found = self._of_operator(pod, "What proxies should have", lambda operator: operator.rendered())
            if found:
                return found
        return _fail("What proxies should have can't be told without an operator: name a directory with --from.")

    def consoles(self) -> list[PodConsole]:
        """Those of the Envoys that run."""
        listed = self._raw(f"/api/v1/namespaces/{rbac.NAMESPACE}/pods", labelSelector=_ENVOYS) or []
        return [
            PodConsole(pod["metadata"]["name"], rbac.NAMESPACE, self._flags)
            for pod in listed
            if pod.get("status", {}).get("phase") == "Running"
        ]

    def metrics(self) -> str:
        """Of every operator that can be asked, each below its name."""
        found: list[Document] = []
        for pod in self._operator_pods("Metrics"):
            found += self._of_operator(pod, "Metrics", lambda operator, pod=pod: [{pod: operator.metrics()}])
        return "\n".join(f"# {pod}\n{text}" for each in found for pod, text in each.items())

    def documents(self) -> list[Document]:
        """All objects that an operator reads, as they are: of Secrets and ConfigMaps those with its label."""
        return [document for listed in self._lists(WATCHED) for document in listed]

    def other_secrets(self) -> list[Document]:
        """The Secrets without it: what is in them may stand elsewhere all the same."""
        return [document for listed in self._lists(_OTHER_SECRETS) for document in listed]

    def pods(self) -> list[Document]:
        """All of the gateway."""
        return self._raw(f"/api/v1/namespaces/{rbac.NAMESPACE}/pods", labelSelector=_OURS) or []

    def events(self) -> list[Document]:
        """Events in the gateway's namespace, and those about its kinds elsewhere."""
        fields = ("type", "reason", "message", "count", "firstTimestamp", "lastTimestamp", "eventTime")
        return [
            {"about": each.get("involvedObject"), **{field: each[field] for field in fields if field in each}}
            for each in self._raw("/api/v1/events") or []
            if each["metadata"]["namespace"] == rbac.NAMESPACE or each.get("involvedObject", {}).get("kind") in JUDGED
        ]

    def version(self) -> Document:
        """What the API server says of itself."""
        done = _kubectl(*self._flags, "get", "--raw", "/version")
        return json.loads(done.stdout) if done.returncode == 0 else {}

    def log_command(self, pod: str, *options: str, container: str = "envoy") -> list[str]:
        """What prints the log of a container: of an Envoy its access log, with its own words between."""
        where = ("--namespace", rbac.NAMESPACE, pod, "--container", container)
        return ["kubectl", *self._flags, "logs", *where, *options]

    def snapshot(self) -> snapshot_pb2.SnapshotDelta:
        """The decision snapshot, compiled here from what is in the cluster."""
        from fastforward_compiler.emit.decision import DecisionEmitter  # noqa: PLC0415 - get and status need none of it

        from fastforward.snapshot.v1 import snapshot_pb2  # noqa: PLC0415

        from .offline import Offline  # noqa: PLC0415

        resources = DecisionEmitter().apply(Offline(self.batch()).delta).upserts
        return snapshot_pb2.SnapshotDelta(resources=resources)

    def batch(self) -> Batch:
        """Everything that an operator would compile."""
        found = [crds.parse_resource(each) for listed in self._lists(WATCHED) for each in listed]
        return Batch(changes={_ref(each): each for each in found})

    @_told()
    def _lists(self, watched: Iterable[Watched], namespace: str = "") -> list[list[Document]]:
        """The objects of each kind; none of kinds that are not installed, or that the user may not read."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(lambda each: self._list(each, namespace), watched))

    def _list(self, watched: Watched, namespace: str) -> list[Document]:
        """Once: which Gateways are ours is seen by classes that may have been listed, or found not to be listed."""
        found = self._listed.get((watched, namespace))
        if found is None:
            found = self._listed[watched, namespace] = self._list_anew(watched, namespace)
        return found

    def _list_anew(self, watched: Watched, namespace: str) -> list[Document]:
        path = watched.path("" if watched.of_cluster else namespace)
        found = self._ask(path, **({"labelSelector": watched.selector} if watched.selector else {}))
        # Lists leave out what all their items have.
        return [{"apiVersion": watched.api_version, "kind": watched.kind, **each} for each in found or ()]

    @_told()
    def _raw(self, path: str, **query: str) -> list[Document] | None:
        return self._ask(path, **query)

    def _ask(self, path: str, **query: str) -> list[Document] | None:
        """The items of a list; raises _UnansweredError."""
        target = f"{path}?{urlencode(query)}" if query else path
        done = _run_kubectl(*self._flags, "get", "--raw", target)
        if done.returncode == 0:
            return json.loads(done.stdout)["items"]
        said = done.stderr.strip().rpartition("\n")[2]
        if "(Forbidden)" in said:
            print(f"Left out, for you may not read it: {path.rpartition('/')[2]}.", file=sys.stderr)
        elif "(NotFound)" not in said:
            told = f"The cluster does not answer ({said or 'no word'}): name another with --context or --kubeconfig."
            raise _UnansweredError(told)
        return None

    def _of_operators(self, what: str, ask: Callable[[OperatorClient], list[Document]]) -> list[Document]:
        """What all operators say, sorted by node: each knows of those that are connected to it."""
        found: list[Document] = []
        for pod in self._operator_pods(what):
            found += self._of_operator(pod, what, ask)
        return sorted(found, key=lambda each: each["node"])

    def _operator_pods(self, what: str) -> list[str]:
        """Their names; the first time that there are none, a line says so."""
        if self._operators is None:
            listed = self._raw(f"/api/v1/namespaces/{rbac.NAMESPACE}/pods", labelSelector=_OPERATORS) or []
            self._operators = [pod["metadata"]["name"] for pod in listed]
            if not self._operators:
                told = f"no pod of an operator is in namespace {rbac.NAMESPACE}"
                print(f"{what} are not shown: {told}.", file=sys.stderr)
        return self._operators

    def _of_operator(self, pod: str, what: str, ask: Callable[[OperatorClient], list[Document]]) -> list[Document]:
        with self._forwarded(pod) as address:
            if address:
                return ask(OperatorClient(f"http://{address}"))
        print(f"{what} of operator {pod} are not shown: its port can't be forwarded.", file=sys.stderr)
        return []

    @contextmanager
    def _forwarded(self, pod: str) -> Generator[str]:
        """The local address of the operator's API; empty when there is none."""
        command = ("port-forward", "--namespace", rbac.NAMESPACE, f"pod/{pod}", f":{_API_PORT}")
        with _started(*self._flags, *command) as process:
            lines: queue.Queue[str] = queue.Queue()
            threading.Thread(target=_read, args=(process.stdout, lines), daemon=True).start()
            try:
                found = _FORWARDING.match(lines.get(timeout=_SECONDS))
            except queue.Empty:
                found = None
            yield str(found[1]) if found is not None else ""


def contexts(kubeconfig: str) -> list[str]:
    """Names of what the kubeconfig knows."""
    where = (f"--kubeconfig={kubeconfig}",) if kubeconfig else ()
    return _kubectl(*where, "config", "get-contexts", "-o", "name").stdout.split()


def _ref(value: crds.Resource | crds.Invalid) -> Any:  # noqa: ANN401 - the compiler is imported when it is needed
    from fastforward_compiler import object_ref  # noqa: PLC0415

    return object_ref(value)


@_told()
def _kubectl(*arguments: str) -> subprocess.CompletedProcess[str]:
    return _run_kubectl(*arguments)


def _run_kubectl(*arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(["kubectl", *arguments], capture_output=True, text=True, check=False, timeout=_SECONDS)
    except FileNotFoundError:
        told = "To ask a cluster, kubectl is needed: install it, or ask a running operator with --api."
        raise _UnansweredError(told) from None
    except subprocess.TimeoutExpired:
        raise _UnansweredError(f"The cluster does not answer within {_SECONDS:.0f} seconds.") from None


@contextmanager
def _started(*arguments: str) -> Generator[subprocess.Popen[str]]:
    command = ["kubectl", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _read(stream: IO[str] | None, lines: queue.Queue[str]) -> None:
    """The first line, or an empty one when there is none."""
    lines.put(stream.readline() if stream is not None else "")


def _fail(sentence: str) -> NoReturn:
    print(sentence, file=sys.stderr)
    raise SystemExit(1)
