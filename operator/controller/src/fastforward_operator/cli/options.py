"""Options that several commands have. A module of its own, so that each file of commands means the same by a name.

Called by main and diagnosis; imports little: `ff --help` comes by here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import completion
from .output import Output

Directories = Annotated[list[Path], typer.Argument(help="Directories of resources (YAML or JSON).", metavar="DIR...")]
OptionalDirectories = Annotated[
    list[Path] | None, typer.Argument(help="Directories of resources (YAML or JSON).", metavar="[DIR...]")
]
OutputOption = Annotated[Output, typer.Option("-o", "--output", help="How to print.")]
ApiOption = Annotated[str, typer.Option("--api", help="Address of the running operator's API.", envvar="FF_API")]
ContextOption = Annotated[
    str,
    typer.Option(
        "--context",
        help="Ask the cluster of this context; `.` is the current one.",
        envvar="FF_CONTEXT",
        autocompletion=completion.contexts,
    ),
]
KubeconfigOption = Annotated[str, typer.Option("--kubeconfig", help="Ask the cluster of this kubeconfig.")]
StateOption = Annotated[
    Path,
    typer.Option("--state", help="State folder of `ff up`, with the credentials for development.", envvar="FF_STATE"),
]
FromOption = Annotated[
    list[Path] | None,
    typer.Option("--from", help="Read resources from this directory instead of the running operator."),
]
KindArgument = Annotated[
    str,
    typer.Argument(help="Kind, plural or short name; everything when absent.", autocompletion=completion.kinds),
]
NameArgument = Annotated[str, typer.Argument(help="NAME or NAMESPACE/NAME.", autocompletion=completion.objects)]
RouteArgument = Annotated[
    str,
    typer.Argument(help="NAMESPACE/NAME of a Route, HTTPRoute or GRPCRoute.", autocompletion=completion.routes),
]
AtOption = Annotated[
    str, typer.Option("--at", metavar="TIME", help="As it will be then, or was (RFC 3339): rules may have hours.")
]
HeaderOption = Annotated[list[str] | None, typer.Option("-H", "--header", help="Request header, 'name: value'.")]

DEFAULT_API = "http://127.0.0.1:9080"
DEFAULT_STATE = Path(".fastforward")
