"""Resources by the thousand, sound and spoilt, and hostile files, for tests of what survives them.

In: a number and a seed. Out: documents, texts. Called by tests of failures. The same seed gives the same documents:
they are drawn by a process of their own, as Hypothesis takes constants from whatever modules are imported where it
draws. Addresses, ports and hosts that somebody would connect to lead to this machine.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import fastforward_crds as crds
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from support.documents import Document, broken_documents, documents
from support.repository import ROOT

NAMES = ("a", "books", "a.b-c")
"""As documents are named at first: one that is named otherwise was spoilt there."""
MADE_AT = "2026-02-01T00:00:00Z"
PORTS = (80, 8081, 8082)
_HERE = {"address": "127.0.0.1", "url": "http://127.0.0.1:9/keys"}


def drawn(count: int, number: int) -> list[Document]:
    """Documents of all our kinds, half of them with something wrong; each has a name that no other has, if any.

    `number` is the seed, and part of the names. They depend on it and on the sources alone.
    """
    command = (sys.executable, "-m", "support.faults.generated", str(count), str(number))
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def fingerprint(parts: Sequence[Any]) -> str:
    """By which documents, or the fingerprints of several draws, are told to be the same."""
    text = "\n".join(json.dumps(each, sort_keys=True) for each in parts)
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def _draw(count: int, number: int) -> list[Document]:
    found: list[Document] = []
    kinds = [kind.name for kind in crds.KINDS]
    every = st.one_of([draw(kind) for kind in kinds for draw in (documents, broken_documents)])

    @seed(number)
    @settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(every)
    def collect(document: Document) -> None:
        if isinstance(document, dict):
            found.append(document)

    collect()
    return [named(document, f"g{number}-{place}") for place, document in enumerate(found[:count])]


def named(document: Document, name: str) -> Document:
    """The document by another name, with nothing in it that leads away from this machine."""
    metadata = document.get("metadata")
    if isinstance(metadata, dict) and metadata.get("name") in NAMES:
        document = {**document, "metadata": {**metadata, "name": name, "creationTimestamp": MADE_AT}}
    kept: Document = _here(document)
    return kept


def _here(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, list):
        return [_here(each) for each in value]
    if not isinstance(value, dict):
        return value
    made = {key: _here(inner) for key, inner in value.items()}
    made |= {key: here for key, here in _HERE.items() if isinstance(made.get(key), str)}
    if isinstance(made.get("dns"), dict) and isinstance(made["dns"].get("host"), str):
        made["dns"]["host"] = "localhost"
    listeners = made["listeners"] if isinstance(made.get("listeners"), list) else []
    for listener in (made, *listeners) if "protocol" in made else listeners:
        port = listener.get("port") if isinstance(listener, dict) else None
        if isinstance(port, int) and not isinstance(port, bool):
            # Others may have any other port of this machine, for a moment at least.
            listener["port"] = PORTS[abs(port) % len(PORTS)]
    return made


def hostile() -> Iterator[tuple[str, bytes]]:
    """Files by name that nobody means well with."""
    head = f"apiVersion: {crds.API_VERSION}\nkind: Route\nmetadata: {{name: hostile}}\nspec: "
    yield "deep", (head + "[" * 200_000).encode()
    yield "deep-flow", (head + '{"a":' * 50_000 + "1" + "}" * 50_000).encode()
    yield "deep-block", (head + "\n" + "".join(f"{' ' * depth}a:\n" for depth in range(2_000))).encode()
    yield "huge", (head + "{edges: [{name: " + "x" * 1_500_000 + "}]}").encode()
    yield "many", (head + "{hosts: [" + ", ".join(f"h{number}.example.com" for number in range(60_000)) + "]}").encode()
    yield "no-utf8", head.encode() + b"{hosts: ['\xff\xfe\x00\x80']}"
    yield "half-utf8", head.encode() + b"{hosts: ['\xe2\x82']}"
    yield "nul", head.encode() + b"{hosts: ['a\x00b']}"
    names = "abcdefghij"
    laughs = "".join(f"{n}: &{n} [{', '.join([f'*{m}'] * 9)}]\n" for m, n in itertools.pairwise(names))
    yield "laughs", f"a: &a [x, x, x, x, x, x, x, x, x]\n{laughs}".encode()
    yield "tag", (head + "!!python/object/apply:os.system ['true']").encode()
    yield "bomb-number", (head + "{priority: " + "9" * 100_000 + "}").encode()
    yield "empty", b"\n---\n" * 20_000


if __name__ == "__main__":
    for drawn_one in _draw(*map(int, sys.argv[1:])):
        print(json.dumps(drawn_one))
