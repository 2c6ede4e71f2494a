"""`python -m perf NAME`: run a benchmark. See --help."""

import sys

from perf import api_to_traffic, change_to_traffic, decisions, memory, no_drop, request_path, start, truth
from perf.harness.command import main
from perf.peers import benchmark as peers

MODULES = (change_to_traffic, api_to_traffic, start, memory, request_path, decisions, no_drop, truth, peers)
BENCHMARKS = {each.BENCHMARK.name: each.BENCHMARK for each in MODULES}

if __name__ == "__main__":
    sys.exit(main(BENCHMARKS))
