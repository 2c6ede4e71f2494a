"""Benchmarks: each is a program of its own; `make bench` runs them, `--help` says what one measures."""
