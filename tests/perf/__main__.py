"""`python -m perf NAME`: run a benchmark. See --help."""

import sys

from perf import api_to_traffic, change_to_traffic, request_path
from perf.harness.command import main

BENCHMARKS = {each.BENCHMARK.name: each.BENCHMARK for each in (change_to_traffic, api_to_traffic, request_path)}

if __name__ == "__main__":
    sys.exit(main(BENCHMARKS))
