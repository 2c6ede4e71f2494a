"""The commands of `ff user`; what they do lives in user. Called by main, so nothing heavy is imported here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .group import QuickGroup

user_app = typer.Typer(
    cls=QuickGroup,
    no_args_is_help=True,
    help="Users with passwords.\n\nExample: ff user add users.yaml jo --tenant acme",
)


@user_app.command("add")
def user_add(
    secret: Annotated[Path, typer.Argument(help="File of the Secret to add the user to; made when absent.")],
    name: Annotated[str, typer.Argument(help="Name of the user; one that is there gets another password.")],
    tenant: Annotated[str, typer.Option(help="Tenant that the user is of.")] = "",
    role: Annotated[list[str] | None, typer.Option(help="Role; may be repeated.")] = None,
    permission: Annotated[list[str] | None, typer.Option(help="Permission; may be repeated.")] = None,
    namespace: Annotated[str, typer.Option("-n", "--namespace", help="Namespace of a new Secret.")] = "default",
) -> None:
    """Add a user for basic authentication: the password is read from standard input, only its hash is stored.

    Example: ff user add users.yaml jo --tenant acme --role member
    """
    from . import user as command

    user = command.User(name, tenant, tuple(role or ()), tuple(permission or ()))
    raise typer.Exit(command.run_add(secret, user, namespace))
