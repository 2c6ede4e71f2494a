"""What all benchmarks share: their command line, loads, paired runs, what processes use, tables, pictures, the page."""
