"""What shells complete: names of kinds, objects, proxies and contexts, besides commands and options.

In: what has been typed. Out: names, none where nobody answers: a shell has no place for complaints. Called by typer
when a shell asks, and by `ff completion`, which prints what teaches a shell to ask. Whoever is named by --api,
--context or --kubeconfig in the same line is asked. Nothing is imported before it is needed: `ff --help` comes by here.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import typer
from typer.completion import completion_init, get_completion_script

from .shell import Shell
from .where import CURRENT, Where

if TYPE_CHECKING:
    from .source import Source

VARIABLE = "_FF_COMPLETE"
"""By it a shell asks (typer)."""
_DEFAULT_API = "http://127.0.0.1:9080"
_ROUTES = ("Route", "HTTPRoute", "GRPCRoute")


def enable() -> None:
    """To be called before the command line is read: typer is told how each shell wants its answer."""
    completion_init()


def script(shell: Shell) -> str:
    """What the shell is to read."""
    return get_completion_script(prog_name="ff", complete_var=VARIABLE, shell=shell)


def kinds(incomplete: str) -> list[str]:
    """Plurals of kinds, and their other names once they are begun."""

    def found() -> Iterator[str]:
        from .kinds import names_of_kinds  # noqa: PLC0415 - the models of all kinds

        for plural, *others in names_of_kinds():
            if plural.startswith(incomplete.lower()) or not incomplete:
                yield plural
            else:
                yield from (each for each in others if each.lower().startswith(incomplete.lower()))

    return _silently(found)


def objects(ctx: typer.Context, incomplete: str) -> list[str]:
    """NAMESPACE/NAME of objects, of the kind that the line names if it does."""

    def found() -> Iterator[str]:
        from .kinds import kind_named  # noqa: PLC0415

        kind = kind_named(str(ctx.params.get("kind") or "")) or ""
        return _full_names(ctx, (kind,))

    return _beginning(incomplete, _silently(found))


def routes(ctx: typer.Context, incomplete: str) -> list[str]:
    """NAMESPACE/NAME of whatever `ff explain route` explains."""
    return _beginning(incomplete, _silently(lambda: _full_names(ctx, _ROUTES)))


def tenants(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of tenants."""
    return _beginning(incomplete, _silently(lambda: (each["name"] for each in _source(ctx).objects(kind="Tenant"))))


def proxies(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of connected proxies."""

    def found() -> Iterator[str]:
        return (each["node"] for each in _source(ctx).proxies() if each["kind"] == "envoy")

    return _beginning(incomplete, _silently(found))


def contexts(ctx: typer.Context, incomplete: str) -> list[str]:
    """Contexts of the kubeconfig."""

    def found() -> Iterator[str]:
        from .cluster import contexts as named  # noqa: PLC0415

        return iter((CURRENT, *named(str(ctx.params.get("kubeconfig") or ""))))

    return _beginning(incomplete, _silently(found))


def _full_names(ctx: typer.Context, of_kinds: Iterable[str]) -> Iterator[str]:
    source, space = _source(ctx), str(ctx.params.get("namespace") or "")
    for kind in of_kinds:
        for each in source.objects(kind=kind, namespace=space):
            yield f"{each['namespace']}/{each['name']}" if each["namespace"] else str(each["name"])


def _source(ctx: typer.Context) -> Source:
    from .source import connect  # noqa: PLC0415

    # Variables of the environment are among them, but commands that ask nobody have no --api.
    given = {name: str(ctx.params.get(name) or "") for name in ("api", "context", "kubeconfig")}
    return connect(Where(given["api"] or _DEFAULT_API, given["context"], given["kubeconfig"]))


def _beginning(incomplete: str, found: Iterable[str]) -> list[str]:
    return sorted({each for each in found if each.startswith(incomplete)})


def _silently(ask: Callable[[], Iterable[str]]) -> list[str]:
    """What others ask for as well ends with a sentence and exit code 1 when nobody answers."""
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            return list(ask())
        except (SystemExit, Exception):  # noqa: BLE001 - a shell shows a traceback in the middle of the line
            return []
