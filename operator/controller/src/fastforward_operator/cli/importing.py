"""How `ff import` is called; what it does lives in import_. Imported by main: nothing heavy is imported here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .output import Output


def import_manifests(
    paths: Annotated[list[Path], typer.Argument(help="Manifests: files, or directories of them.", metavar="PATH...")],
    edge: Annotated[str, typer.Option(help="[NAMESPACE/]NAME of the Edge of what names no Gateway.")] = "imported",
    into: Annotated[
        Path | None, typer.Option("--into", help="Write files into this directory instead of printing.")
    ] = None,
    literal: Annotated[
        bool, typer.Option("--literal-prefixes", help="Keep prefixes to the letter where they were: /ab too for /a.")
    ] = False,
    output: Annotated[Output, typer.Option("-o", "--output", help="How to print the report.")] = Output.TEXT,
) -> None:
    """Turn Ingress, Traefik and Gateway API manifests into resources, and report what became of every field.

    Example: ff import manifests/ --into resources/
    """
    from . import import_ as command  # noqa: PLC0415 - heavy

    raise typer.Exit(command.run(paths, edge, into, output, literal=literal))
