"""Commands that look into a gateway that runs: what its proxies have, what goes through it, what to send us.

In: the application of `ff`. Out: its commands for that. Called by main, whose rules
hold: nothing heavy is imported here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import completion
from .envoykind import EnvoyKind
from .groupby import GroupBy
from .options import (
    DEFAULT_API,
    DEFAULT_STATE,
    ApiOption,
    ContextOption,
    KubeconfigOption,
    OutputOption,
    StateOption,
)
from .output import Output
from .shell import Shell
from .where import Where

AdminOption = Annotated[
    str, typer.Option("--admin", help="Envoy's console, HOST:PORT or unix:PATH. [default: that of `ff up`]")
]


def add_to(app: typer.Typer) -> None:
    """Register the commands, in the order in which help lists them."""
    app.command()(proxy)
    app.command()(top)
    app.command()(collect)
    app.command("completion")(completion_script)


def proxy(
    name: Annotated[
        str, typer.Argument(help="Name of one proxy; all when absent.", autocompletion=completion.proxies)
    ] = "",
    show: Annotated[str, typer.Option(help="Print this resource as it should be and as it is, as a diff.")] = "",
    kind: Annotated[list[EnvoyKind] | None, typer.Option(help="Only this kind; may be repeated.")] = None,
    directories: Annotated[
        list[Path] | None, typer.Option("--from", help="What this directory says is what it should have.")
    ] = None,
    admin: AdminOption = "",
    bind: Annotated[
        list[str] | None, typer.Option(help="With --from: address of the listeners, as of `ff up`.")
    ] = None,
    state: StateOption = DEFAULT_STATE,
    output: OutputOption = Output.TEXT,
    api: ApiOption = DEFAULT_API,
    context: ContextOption = "",
    kubeconfig: KubeconfigOption = "",
) -> None:
    """Compare what live Envoys have with what they should have; exit code 1 on any difference.

    Examples: ff proxy --kind cluster; ff proxy --show bookshop/catalog-v1; ff proxy --context . -o json
    """
    from . import proxy as command

    asked = command.Asked(name=name, show=show, kinds=frozenset(kind or ()), admin=admin, bind=tuple(bind or ()))
    raise typer.Exit(command.run(asked, directories or [], state, output, Where(api, context, kubeconfig)))


def top(
    by: Annotated[GroupBy, typer.Option(help="What requests are told apart by.")] = GroupBy.ROUTE,
    window: Annotated[int, typer.Option(min=1, max=3600, help="Seconds that rates and latencies are of.")] = 10,
    every: Annotated[float, typer.Option(min=0.1, max=3600, help="Seconds between two pictures.")] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Say it once, of the seconds before.")] = False,
    rows: Annotated[int, typer.Option(min=1, max=100_000, help="Rows at most; all with -o json.")] = 20,
    log: Annotated[Path | None, typer.Option(help="An access log. [default: that of `ff up`]")] = None,
    state: StateOption = DEFAULT_STATE,
    output: OutputOption = Output.TEXT,
    context: ContextOption = "",
    kubeconfig: KubeconfigOption = "",
) -> None:
    """Show what goes through the gateway: rates, latencies, errors, refusals; until Ctrl-C.

    Examples: ff top; ff top --by tenant; ff top --by reason --once -o json; ff top --context .
    """
    from . import top as command

    asked = command.Asked(by=by, window=window, every=every, once=once, rows=rows, log=log)
    raise typer.Exit(command.run(asked, state, output, Where("", context, kubeconfig)))


def collect(
    directories: Annotated[
        list[Path] | None,
        typer.Option("--from", help="A directory of resources, besides those that the operator names."),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("-o", "--output", help="The file to write. [default: ff-collect-TIME.tar.gz]")
    ] = None,
    most: Annotated[
        int, typer.Option(min=1, max=4096, help="MiB of what is in it, at most, before it is packed.")
    ] = 256,
    state: StateOption = DEFAULT_STATE,
    api: ApiOption = DEFAULT_API,
    context: ContextOption = "",
    kubeconfig: KubeconfigOption = "",
) -> None:
    """Collect what is needed to understand a gateway into one file, without secrets.

    Examples: ff collect; ff collect -o report.tar.gz; ff collect --context .
    """
    from . import collect as command

    raise typer.Exit(command.run(directories or [], state, file, most, Where(api, context, kubeconfig)))


def completion_script(shell: Annotated[Shell, typer.Argument(help="Your shell.")]) -> None:
    """Print what lets a shell complete commands, options, kinds and names of objects.

    Examples: eval "$(ff completion bash)" in ~/.bashrc; ff completion fish > ~/.config/fish/completions/ff.fish
    """
    print(completion.script(shell))
