"""The commands of `ff`, read top to bottom; what each does lives in the module of its name.

Called by the console script `ff`. Nothing heavy is imported here: `ff --help` stays under 150 ms.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from . import completion, diagnosis, streams, version
from .group import QuickGroup
from .importing import import_manifests
from .options import (
    DEFAULT_API,
    DEFAULT_STATE,
    ApiOption,
    AtOption,
    ContextOption,
    Directories,
    FromOption,
    HeaderOption,
    KindArgument,
    KubeconfigOption,
    NameArgument,
    OptionalDirectories,
    OutputOption,
    RouteArgument,
    StateOption,
)
from .output import Output
from .target import Front, Target
from .users import user_app
from .where import Where

app = typer.Typer(
    name="ff",
    cls=QuickGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="FastForward: a gateway, from resources to traffic.\n\n"
    "Examples:\n\n"
    "  ff up examples/bookshop                 run everything on this machine\n\n"
    "  ff validate DIR                         check resources without running anything\n\n"
    "  ff get routes                           what is there, and whether it is programmed\n\n"
    "  ff explain request GET http://HOST/PATH what happens to a request, stage by stage\n\n"
    "  ff test DIR                             run the route tests of a directory",
)
explain_app = typer.Typer(
    cls=QuickGroup,
    no_args_is_help=True,
    help="Say what happens to a request, or where a Route runs, and why.\n\n"
    "Example: ff explain request GET http://bookshop.localhost:8080/books",
)
key_app = typer.Typer(
    cls=QuickGroup, no_args_is_help=True, help="API keys.\n\nExample: ff key create keys.yaml --tenant acme"
)
app.add_typer(explain_app, name="explain")
app.add_typer(key_app, name="key")
app.add_typer(user_app, name="user")
app.command("import")(import_manifests)


@app.callback()
def ff(
    version: Annotated[
        bool, typer.Option("--version", callback=version.show, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Take the options before a command."""


@app.command()
def up(
    directories: Directories,
    state: StateOption = DEFAULT_STATE,
    bind: Annotated[
        list[str] | None, typer.Option(help="Address of the listeners; may be repeated. [default: loopback]")
    ] = None,
    api_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the operator's API and metrics.")] = 9080,
    front: Annotated[
        Front | None, typer.Option(help="What stands before the Envoy, for Edges that name one in `front`.")
    ] = None,
    zone: Annotated[str | None, typer.Option(help="Zone of this machine, for Upstreams with `zoneAware`.")] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Plain lines instead of the live screen.")] = False,
) -> None:
    """Run everything on this machine: operator, Envoy, decision service and the directory's sample programs.

    Example: ff up examples/bookshop
    """
    from . import up as command

    raise typer.Exit(
        command.run(
            directories, state=state, bind=bind or [], api_port=api_port, front=bool(front), zone=zone, plain=plain
        )
    )


@app.command()
def validate(
    directories: OptionalDirectories = None,
    output: OutputOption = Output.TEXT,
    context: ContextOption = "",
    kubeconfig: KubeconfigOption = "",
) -> None:
    """Check resources without running anything; exit code 1 on any problem.

    With a cluster: its resources, or what those of the directories would be in it.

    Example: ff validate examples/bookshop -o json
    """
    from . import validate as command

    raise typer.Exit(command.run(directories or [], output, Where("", context, kubeconfig)))


@app.command()
def render(
    directories: Directories,
    target: Annotated[Target, typer.Option(help="Whose configuration.")] = Target.ENVOY,
    output: OutputOption = Output.YAML,
    show_secrets: Annotated[bool, typer.Option(help="Print private keys and the hashes of keys as well.")] = False,
    at: AtOption = "",
) -> None:
    """Print what Envoy, the decision service or a Traefik in front gets.

    Example: ff render examples/bookshop --target envoy -o json
    """
    from . import render as command

    raise typer.Exit(command.run(directories, target, output, show_secrets=show_secrets, at=at))


@app.command()
def openapi(
    host: Annotated[str, typer.Argument(help="Host whose rules are described, as an Edge or Route names it.")],
    directories: Directories,
    output: OutputOption = Output.YAML,
) -> None:
    """Print OpenAPI 3.1 of the rules of a host that send messages, with their Schemas.

    Example: ff openapi bookshop.localhost examples/bookshop -o json
    """
    from . import openapi as command

    raise typer.Exit(command.run(host, directories, output))


@app.command()
def get(
    kind: KindArgument = "",
    name: NameArgument = "",
    namespace: Annotated[str, typer.Option("-n", "--namespace", help="Only this namespace.")] = "",
    output: OutputOption = Output.TEXT,
    api: ApiOption = DEFAULT_API,
    context: ContextOption = "",
    kubeconfig: KubeconfigOption = "",
) -> None:
    """Show resources and their conditions, as the running operator sees them.

    Example: ff get routes
    """
    from . import get as command

    raise typer.Exit(command.run(kind, name, namespace, output, Where(api, context, kubeconfig)))


@app.command()
def status(
    output: OutputOption = Output.TEXT,
    api: ApiOption = DEFAULT_API,
    context: ContextOption = "",
    kubeconfig: KubeconfigOption = "",
) -> None:
    """Show the proxies and decision services, what they acknowledged, their hops, and what is wrong.

    Example: ff status
    """
    from . import status as command

    raise typer.Exit(command.run(output, Where(api, context, kubeconfig)))


@app.command()
def trace(
    id_: Annotated[
        str, typer.Argument(metavar="ID", help="Id of a message (x-ff-message-id), of its request or of its trace.")
    ],
    output: OutputOption = Output.TEXT,
    api: ApiOption = DEFAULT_API,
    context: ContextOption = "",
    kubeconfig: KubeconfigOption = "",
) -> None:
    """Show the way of a message through all stages, with times. The last ones that ended are remembered.

    Example: ff trace 01890a5d-ac96-774b-bcce-b302099a8057
    """
    from . import trace as command

    raise typer.Exit(command.run(id_, output, Where(api, context, kubeconfig)))


@explain_app.command("request")
def explain_request(
    method: Annotated[str, typer.Argument(help="HTTP method.")],
    url: Annotated[str, typer.Argument(help="URL, with host, port and query.")],
    header: HeaderOption = None,
    directories: FromOption = None,
    address: Annotated[str, typer.Option(help="The client's address.")] = "127.0.0.1",
    listener: Annotated[str, typer.Option(help="Listener of an Edge or Gateway that it comes in by.")] = "",
    external: Annotated[
        int, typer.Option(min=200, max=599, help="Status that services are taken to answer; none is asked.")
    ] = 200,
    at: AtOption = "",
    state: StateOption = DEFAULT_STATE,
    output: OutputOption = Output.TEXT,
    api: ApiOption = DEFAULT_API,
    context: ContextOption = "",
    kubeconfig: KubeconfigOption = "",
) -> None:
    """Say what happens to a request, stage by stage, and what would have to change.

    Example: ff explain request GET http://bookshop.localhost:8080/orders -H 'x-api-key: ...'
    """
    from . import explain as command

    asked = command.Asked(method, url, tuple(header or ()), address, listener, external)
    where = Where(api, context, kubeconfig)
    raise typer.Exit(command.run(asked, directories or [], state, output, where, at))


@explain_app.command("route")
def explain_route(
    name: RouteArgument,
    directories: FromOption = None,
    at: AtOption = "",
    state: StateOption = DEFAULT_STATE,
    output: OutputOption = Output.TEXT,
    api: ApiOption = DEFAULT_API,
    context: ContextOption = "",
    kubeconfig: KubeconfigOption = "",
) -> None:
    """Say where each stage of a Route runs (proxy, decision service, nowhere), and why.

    Example: ff explain route bookshop/orders
    """
    from . import explain_route as command

    where = Where(api, context, kubeconfig)
    raise typer.Exit(command.run(name, directories or [], state, output, where, at))


@app.command("test")
def route_test(
    directories: Directories,
    output: OutputOption = Output.TEXT,
    junit: Annotated[Path | None, typer.Option(help="Write the results as JUnit XML to this file.")] = None,
    context: ContextOption = "",
    kubeconfig: KubeconfigOption = "",
) -> None:
    """Run the route tests (*.test.yaml) of a directory: request -> expected route, status, headers, tenant.

    Example: ff test examples/bookshop --junit results.xml
    """
    from . import route_test as command

    raise typer.Exit(command.run(directories, output, junit, Where("", context, kubeconfig)))


@app.command()
def credentials(directories: Directories, state: StateOption = DEFAULT_STATE) -> None:
    """Print the credentials for development that a directory asks for, as Secrets and ConfigMaps for a cluster.

    Example: ff credentials examples/bookshop | kubectl apply --server-side -f -
    """
    from . import credentials as command

    raise typer.Exit(command.run(directories, state))


@app.command()
def diff(
    directories: Directories,
    live: Annotated[
        bool, typer.Option("--live", help="Compare a cluster with what it would be after these were applied.")
    ] = False,
    at: AtOption = "",
    output: OutputOption = Output.TEXT,
    context: ContextOption = "",
    kubeconfig: KubeconfigOption = "",
) -> None:
    """Show the requests whose outcome changes from one directory to another, with an example of each change.

    Exit code 0 when none changes, 1 when one does.

    Examples: ff diff before/ after/

    ff diff --live resources/ --context production
    """
    from . import diff as command

    if live:
        raise typer.Exit(command.run_live(directories, output, Where("", context, kubeconfig), at))
    if len(directories) != 2:
        raise typer.BadParameter("Name two directories, the one before and the one after; or one with --live.")
    raise typer.Exit(command.run_directories(*directories, output, at))


@key_app.command("create")
def key_create(
    secret: Annotated[Path, typer.Argument(help="File of the Secret to add the key to; made when absent.")],
    tenant: Annotated[str, typer.Option(help="Tenant that the key speaks for.")] = "",
    subject: Annotated[str, typer.Option(help="Subject that the key stands for.")] = "",
    role: Annotated[list[str] | None, typer.Option(help="Role; may be repeated.")] = None,
    permission: Annotated[list[str] | None, typer.Option(help="Permission; may be repeated.")] = None,
    days: Annotated[int, typer.Option(min=0, max=36_500, help="Days that it is valid; 0 for ever.")] = 0,
    namespace: Annotated[str, typer.Option("-n", "--namespace", help="Namespace of a new Secret.")] = "default",
    output: OutputOption = Output.TEXT,
) -> None:
    """Create an API key: print it once, store only its keyed hash in the Secret.

    Example: ff key create keys.yaml --tenant acme --role member
    """
    from . import key as command

    identity = command.Identity(tenant, subject, tuple(role or ()), tuple(permission or ()), days)
    raise typer.Exit(command.run_create(secret, identity, namespace, output))


@key_app.command("show")
def key_show(
    tenant: Annotated[str, typer.Argument(help="Tenant that the key speaks for.", autocompletion=completion.tenants)],
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Print the API key that was made for development, as `ff up` and `ff credentials` do for each tenant.

    Example: curl -H "x-api-key: $(ff key show acme)" http://bookshop.localhost:8080/orders
    """
    from . import key as command

    raise typer.Exit(command.run_show(state, tenant))


@app.command()
def token(
    tenant: Annotated[
        str, typer.Argument(help="Tenant claim; none when absent.", autocompletion=completion.tenants)
    ] = "",
    subject: Annotated[str, typer.Option(help="Subject claim.")] = "developer",
    role: Annotated[list[str] | None, typer.Option(help="Role; may be repeated.")] = None,
    permission: Annotated[list[str] | None, typer.Option(help="Permission; may be repeated.")] = None,
    minutes: Annotated[int, typer.Option(min=1, max=525_600, help="Minutes that it is valid.")] = 60,
    issuer: Annotated[str, typer.Option(help="Issuer to sign as; the first of the directory when absent.")] = "",
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Print a token of the development issuer of `ff up` and `ff credentials`.

    Example: curl -H "authorization: Bearer $(ff token acme --role admin)" http://admin.bookshop.localhost:8080/admin/stock
    """
    from . import token as command

    claims: dict[str, object] = {"sub": subject, "tenant": tenant, "roles": role, "permissions": permission}
    raise typer.Exit(command.run(state, {name: value for name, value in claims.items() if value}, minutes, issuer))


diagnosis.add_to(app)


def main() -> None:
    """Run the command line; whatever happens, no traceback is printed."""
    streams.prepare()
    try:
        try:
            completion.enable()
            app(prog_name="ff")
        finally:
            # Here, and not when the interpreter ends: then a full disk would be told in its words.
            sys.stdout.flush()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:
        streams.discard()
        raise SystemExit(1) from None
    except Exception as error:  # noqa: BLE001 - the last resort
        streams.discard()
        from .failure import sentence

        sys.stderr.write(f"{sentence(error)}\n")
        raise SystemExit(1) from None
