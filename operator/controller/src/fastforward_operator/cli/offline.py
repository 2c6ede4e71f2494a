"""What directories compile to, without a running operator.

In: directories, a point in time. Out: `Offline`: the Delta from nothing, and where everything is written. Called by
validate, render, explain and test. References to missing `development-` objects are satisfied as `ff up` would: with
its credentials where they are asked for, else with some that are thrown away. Key sets behind URLs are not fetched: a
key of our own stands in for them.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from fastforward_compiler import ir
from fastforward_compiler.compile import Compiler
from fastforward_compiler.problem import ObjectRef, Problem
from fastforward_crds import AuthPolicy, Resource

from fastforward_operator.providers import Batch, Source
from fastforward_operator.providers.file import FileProvider
from fastforward_operator.supervisor.development import PREFIX, Development, DevelopmentError
from fastforward_operator.supervisor.issuer import Issuer

from .output import counted

Locate = Callable[[Source, str], Source]
"""A document and a field of it -> where that field is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One Problem and where it is written."""

    place: Source
    problem: Problem

    def __str__(self) -> str:
        problem = self.problem
        about = "" if problem.on.kind == "Document" else f" {problem.on}:"
        field = f" {problem.field}:" if problem.field else ""
        place = f"{self.place}:" if self.place.path else ""
        return f"{place}{about}{field} {problem.message} ({problem.reason})".lstrip()


class Offline:
    """Some objects, compiled once as they are `at` a time or now, with what a directory of `ff up` has besides."""

    def __init__(
        self,
        batch: Batch,
        locate: Locate = lambda place, _: place,
        besides: Batch | None = None,
        at: datetime | None = None,
    ) -> None:
        self.batch, self.locate = batch, locate
        self.resources = resources_of(batch)
        self.issuer = Issuer.new()
        """Who signs in place of issuers whose keys are behind URLs."""
        changes = {**batch.changes, **(besides.changes if besides is not None else {})}
        self.delta: ir.Delta = Compiler().apply(changes, self._fetched(), at or datetime.now(UTC))

    @property
    def count(self) -> int:
        """Number of objects whose Problems are told."""
        return sum(ref in self.batch.sources for ref in self.batch.changes)

    def findings(self) -> list[Finding]:
        """Everything that is wrong, in the order in which it is written."""
        reports = (report for report in self.delta.reports.values() if report is not None)
        problems = [problem for report in reports for problem in report.problems]
        problems += [problem for found in self.batch.documents.values() for problem in found]
        found = [finding for problem in problems if (finding := self._find(problem)) is not None]
        return sorted(found, key=lambda f: (f.place.path, f.place.line, f.problem.field))

    def source(self, ref: ObjectRef) -> Source | None:
        """Where an object is written."""
        return self.batch.sources.get(ref)

    def _find(self, problem: Problem) -> Finding | None:
        source = self.batch.sources.get(problem.on)
        return Finding(place=self.locate(source, problem.field), problem=problem) if source else None

    def _fetched(self) -> Mapping[str, bytes]:
        keys = json.dumps({"keys": [self.issuer.public_key()]}).encode()
        return dict.fromkeys(_urls(self.resources), keys)


def require(directories: Sequence[Path]) -> None:
    """Ends with one sentence and exit code 1 where one of them is not there, or can't hold resources."""
    for directory in directories:
        if not directory.exists():
            print(f"{directory} is not there: name a directory of resources.", file=sys.stderr)
            raise SystemExit(1)
        if not directory.is_dir() and not directory.is_file():
            print(f"{directory} is neither a directory nor a file: name one that holds resources.", file=sys.stderr)
            raise SystemExit(1)


def load(directories: Sequence[Path], credentials: Path | None = None, at: datetime | None = None) -> Offline:
    """Compile directories; `credentials` is the folder of the development credentials in force.

    A directory that is not there is one sentence and exit code 1.
    """
    require(directories)
    provider = FileProvider(directories)
    batch = provider.load()
    return Offline(batch, provider.locate, _development(resources_of(batch), credentials), at)


def warn_of_problems(offline: Offline, directories: Sequence[Path]) -> None:
    """A line on standard error where something is wrong: what is not read changes what is printed."""
    if findings := offline.findings():
        found, names = counted(len(findings), "problem"), " ".join(map(str, directories))
        print(f"The resources have {found}, which may be why: ff validate {names}", file=sys.stderr)


def load_over(cluster: Batch, directories: Sequence[Path], at: datetime | None = None) -> Offline:
    """Compile directories in place of what is in a cluster; what is found wrong is the directories'.

    Without any directory it is the cluster's.
    """
    if not directories:
        everywhere = dict.fromkeys(cluster.changes, Source(path="", line=0))
        return Offline(replace(cluster, sources=everywhere), at=at)
    written = load(directories)
    changes = {**cluster.changes, **written.batch.changes}
    return Offline(replace(written.batch, changes=changes), written.locate, at=at)


def resources_of(batch: Batch) -> tuple[Resource, ...]:
    """The objects that are no invalid documents."""
    return tuple(found for found in batch.changes.values() if isinstance(found, Resource))


def _development(resources: Sequence[Resource], credentials: Path | None) -> Batch:
    if not any(PREFIX in resource.model_dump_json() for resource in resources if resource.kind != "Secret"):
        return Batch()
    with tempfile.TemporaryDirectory(prefix="ff-") as folder:
        if credentials is not None and credentials.is_dir():
            shutil.copytree(credentials, folder, dirs_exist_ok=True)
        development = Development(Path(folder))
        try:
            development.provide(resources)
        except DevelopmentError as error:
            print(str(error).replace(folder, str(credentials)), file=sys.stderr)
            raise SystemExit(1) from None
        return FileProvider([development.resources]).load()


def _urls(resources: Iterable[Resource]) -> Iterator[str]:
    for policy in resources:
        if isinstance(policy, AuthPolicy) and policy.spec.authentication:
            for provider in policy.spec.authentication.providers:
                if provider.jwt and provider.jwt.jwks.url is not None:
                    yield provider.jwt.jwks.url
