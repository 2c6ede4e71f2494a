"""Shells that `ff completion` knows. A module of its own, so that `ff --help` imports nothing else."""

from __future__ import annotations

from enum import StrEnum


class Shell(StrEnum):
    """Those that typer writes completions for and that we test."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"
