"""The decision snapshot, from the running operator or from directories.

In: directories and a state folder, or else the operator or the cluster to ask. Out: the resources of snapshot.proto.
Called by explain and explain_route.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from fastforward_compiler.emit.decision import DecisionEmitter
from fastforward_pipeline.compiled.password import hash_password
from fastforward_pipeline.compiled.users import find_basic, parse_basic

from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_operator.supervisor.apikey import parse_api_key

from .offline import load, load_over, warn_of_problems
from .source import connect, read_cluster
from .where import Where

Resources = Sequence[snapshot_pb2.Resource]


def read_snapshot(directories: Sequence[Path], state: Path, where: Where, at: datetime | None = None) -> Resources:
    """Compiled from the directories when there are any, with the credentials of `ff up`; else as it is published.

    Of a cluster it is compiled here: with the right to read them, the operator's own API would say the same. `at`
    another time than now it can only be compiled.
    """
    if directories:
        offline = load(directories, state / "dev", at)
        warn_of_problems(offline, directories)
        return DecisionEmitter().apply(offline.delta).upserts
    if at is None:
        return connect(where).snapshot().resources
    if not where.is_cluster:
        print("A running operator tells of now alone: with --at, name a directory with --from.", file=sys.stderr)
        raise SystemExit(1)
    return DecisionEmitter().apply(load_over(read_cluster(where), (), at).delta).upserts


def believe_passwords(resources: Resources, values: Iterable[str]) -> list[str]:
    """Let passwords among the header values be right where their user is known; returns the names of those users.

    The operator hands out no hashes of passwords either.
    """
    believed = []
    users = [user for r in resources if r.WhichOneof("body") == "users" for user in r.users.users if not user.hash]
    credentials = (found for value in values if (found := find_basic(value)) is not None)
    for name, password in filter(None, map(parse_basic, credentials)):
        for user in (one for one in users if one.name == name):
            user.hash = hash_password(password)
            believed.append(name)
    return believed


def believe_keys(resources: Resources, values: Iterable[str]) -> list[str]:
    """Let API keys among the header values be valid if their ID is known; returns those IDs.

    The operator hands out no hashes, so that nobody can look for keys: the secret part can't be judged here.
    """
    believed = []
    stored = [r.apikeys for r in resources if r.WhichOneof("body") == "apikeys"]
    given = (parse_api_key(value) for value in values)
    for key in (key for key in given if key is not None):
        for apikeys in stored:
            for entry in (one for one in apikeys.keys if one.id == key.id and not any(one.hash)):
                entry.hash = key.hash(apikeys.pepper)
                believed.append(key.id)
    return believed
