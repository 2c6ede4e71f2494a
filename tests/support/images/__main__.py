"""The command line behind `make images` and `make cluster-load`."""

from __future__ import annotations

import argparse
import sys
import time

from support.cluster.definition import default_state
from support.cluster.images import ImageError, load_archive
from support.cluster.lifecycle import ClusterError, running
from support.images.build import RECIPES, build


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="support.images", description=__doc__)
    parser.add_argument("--load", action="store_true", help="give them to the node of the cluster that runs")
    parser.add_argument("names", nargs="*", metavar="NAME", help="which ones: all when none is named")
    asked = parser.parse_args()
    if unknown := set(asked.names) - {each.name for each in RECIPES}:
        print(f"No such image: {', '.join(sorted(unknown))}. There are {', '.join(each.name for each in RECIPES)}.")
        return 2
    try:
        cluster = running(default_state()) if asked.load else None
        for recipe in RECIPES:
            if not asked.names or recipe.name in asked.names:
                started = time.monotonic()
                archive = build(recipe)
                if cluster is not None:
                    load_archive(cluster, archive)
                size = archive.stat().st_size / 1e6
                print(f"{recipe.image}  {size:.0f} MB  {time.monotonic() - started:.1f} s  {archive}", flush=True)
    except (ClusterError, ImageError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
