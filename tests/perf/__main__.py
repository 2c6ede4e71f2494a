"""`python -m perf NAME`: run a benchmark. See --help."""

import sys

from perf.changes import api_to_traffic, change_to_traffic, memory, start
from perf.harness.command import main
from perf.loss import no_drop
from perf.path import decisions, messages, request_path
from perf.peers import benchmark as peers
from perf.truth import benchmark as truth

MODULES = (change_to_traffic, api_to_traffic, start, memory, request_path, decisions, messages, no_drop, truth, peers)
BENCHMARKS = {each.BENCHMARK.name: each.BENCHMARK for each in MODULES}

if __name__ == "__main__":
    sys.exit(main(BENCHMARKS))
