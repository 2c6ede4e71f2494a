"""Groups of commands. Called by main and the modules that have groups of their own."""

from __future__ import annotations

from typer._click import Context
from typer.core import TyperGroup, TyperOption


class QuickGroup(TyperGroup):
    """A group whose own --help has a default, so that typer does not load pydantic to find that nobody gave it."""

    def get_help_option(self, ctx: Context) -> TyperOption | None:
        """The option, without the need of conversion."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.default = False
        return option
