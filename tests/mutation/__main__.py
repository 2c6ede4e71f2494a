"""`python -m mutation`: plants a random sample of mutants into the pure packages and counts those that tests notice.

In: the size of the sample, its seed, sometimes some modules. Out: what report writes; exit code 1 below the least
score. Called by `make mutation`.
"""

from __future__ import annotations

import argparse
import importlib
import os
import random
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatch

from support.repository import PACKAGES, ROOT, Package, python_sources

from .covering import measure_coverage
from .mutant import Mutant
from .operators import find_mutants
from .report import Progress, Tally, place_of, read_equivalents, write_report
from .trial import try_mutants

# Not ours, slow to import: what every fork has at hand.
_IMPORTED_ONCE = (
    "aiohttp",
    "grpc",
    "pydantic",
    "yaml",
    "google.protobuf.json_format",
    "envoy.config.route.v3.route_pb2",
)
_IMPORTED_ONCE_MORE = (
    "envoy.config.bootstrap.v3.bootstrap_pb2",
    "envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2",
    "cryptography.x509",
    "hypothesis.strategies",
)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="mutation", description="Mutation testing of the pure packages.")
    parser.add_argument("--sample", type=int, default=150, help="mutants of each package; 0: all")
    parser.add_argument("--seed", type=int, default=1, help="which sample")
    parser.add_argument("--modules", nargs="*", default=[], help="only paths that one of these patterns matches")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # children are ended on the way out
    for name in (*_IMPORTED_ONCE, *_IMPORTED_ONCE_MORE):
        importlib.import_module(name)
    everything = {package.folder: list(_mutants(package, options.modules)) for package in PACKAGES if package.pure}
    sample = draw({folder: found for folder, found in everything.items() if found}, options.sample, options.seed)
    equivalents = read_equivalents()
    chosen = [mutant for found in sample.values() for mutant in found if place_of(mutant) not in equivalents]
    covered = measure_coverage(options.jobs)
    tallies = {folder: Tally(package=folder) for folder in sample}
    try_mutants(chosen, covered, options.jobs, Progress(len(chosen), tallies).tell)
    equivalent = sum(map(len, sample.values())) - len(chosen)
    return 0 if write_report(list(tallies.values()), seed=options.seed, equivalent=equivalent) else 1


def draw(mutants: Mapping[str, Sequence[Mutant]], size: int, seed: int) -> dict[str, list[Mutant]]:
    """The same sample for the same sources and seed."""
    return {
        folder: random.Random(f"{seed} {folder}").sample(found, min(size or len(found), len(found)))
        for folder, found in mutants.items()
    }


def _mutants(package: Package, patterns: Sequence[str]) -> Iterator[Mutant]:
    for path in python_sources(package):
        name = str(path.relative_to(ROOT))
        if not patterns or any(fnmatch(name, f"*{pattern}*") for pattern in patterns):
            yield from find_mutants(name, path.read_bytes())


if __name__ == "__main__":
    raise SystemExit(main())
