"""`ff proxy`: what a live Envoy really has, next to what it should have.

In: consoles of Envoys; an operator, a cluster or directories that say what they should have. Out: a list of
differences, one resource of both, or JSON and YAML; exit code 1 when anything differs. Called by cli/diagnosis.
"""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fastforward_operator.providers.dump import dump_documents
from fastforward_operator.supervisor.state import StateFolder

from .console import Console, ConsoleError, SocketConsole, console_at
from .drift import Difference, Wanted, addresses, differences
from .envoyjson import canonical, equal
from .envoykind import EnvoyKind
from .held import KINDS, TARGET, Dump, Held, Json, Key, name_of, read_dump, readable
from .options import DEFAULT_API
from .output import Output, counted, print_data, print_table
from .source import connect
from .where import Where

_TITLES = ("PROXY", "KIND", "NAME", "DIFFERENCE", "SHOULD HAVE", "HAS", "DETAIL")
_SHORT = 8
_ALL = 1_000_000
"""Lines of context: the whole resource."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be shown, and of whom."""

    name: str = ""
    """Of a proxy; all when empty."""
    show: str = ""
    """Name of one resource, to be printed from both."""
    kinds: frozenset[EnvoyKind] = frozenset()
    """All when empty."""
    admin: str = ""
    """Address of a console."""
    bind: tuple[str, ...] = ()
    """Where the listeners of what directories say are bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One proxy, and what it should have."""

    node: str
    wanted: Mapping[Key, Wanted]
    held: Mapping[Key, Held]
    found: Sequence[Difference]


Expect = Callable[[Dump], Mapping[Key, Wanted]]
Refused = Mapping[str, Mapping[Key, str]]
"""Words of refusal, by node."""


def run(asked: Asked, directories: Sequence[Path], state: Path, output: Output, where: Where) -> int:
    """Print how they differ."""
    dumps, complete = _dumps(_consoles(asked, state, where), asked.name)
    expect, refused = _expectation(asked, directories, state, where)
    compared = [_compare(dump, expect(dump), refused.get(dump.node, {}), asked.kinds) for dump in dumps]
    if asked.show:
        return _show(compared, asked.show, output)
    if output is Output.TEXT:
        _print_text(compared)
    else:
        print_data({"proxies": [_present(each) for each in compared]}, output)
    return 0 if complete and not any(each.found for each in compared) else 1


def _consoles(asked: Asked, state: Path, where: Where) -> Sequence[Console]:
    if asked.admin:
        try:
            return [console_at(asked.admin)]
        except ConsoleError as error:
            print(error, file=sys.stderr)
            raise SystemExit(1) from None
    if not where.is_cluster:
        return [SocketConsole(StateFolder(state).admin_socket)]
    from .cluster import Cluster  # noqa: PLC0415 - whoever asks no cluster needs none of it

    return Cluster(where).consoles()


def _dumps(consoles: Sequence[Console], name: str) -> tuple[list[Dump], bool]:
    """Of all that are meant, and whether all of them answered; one sentence and exit code 1 when none did."""
    meant = [each for each in consoles if each.name == name] or consoles
    found, silent = [], False
    for console in meant:
        try:
            found.append(read(console))
        except ConsoleError as error:
            silent = True
            print(error, file=sys.stderr)
    named = [each for each in found if name in ("", each.node)]
    if not named and not silent:
        there = f"there are {', '.join(each.node for each in found)}" if found else "no pod of an Edge runs"
        print(f"There is no proxy{f' {name}' if name else ''}: {there}.", file=sys.stderr)
    if not named:
        raise SystemExit(1)
    return named, not silent


def read(console: Console) -> Dump:
    """What the Envoy behind a console has. Raises ConsoleError."""
    body = console.ask(TARGET)
    try:
        dump = read_dump(json.loads(body))
        # One that was told its name by an option does not say it here; of a pod we know it.
        return replace(dump, node=dump.node or console.name)
    except (ValueError, LookupError, TypeError, AttributeError):
        raise ConsoleError(f"What answers at {console.name} is no Envoy's console: name one with --admin.") from None


def _expectation(asked: Asked, directories: Sequence[Path], state: Path, where: Where) -> tuple[Expect, Refused]:
    """What each should have, and what the operator knows of its refusals."""
    if directories:
        written = _of_directories(directories, StateFolder(state), asked.bind)
        return lambda _: written, {}
    # Of a cluster the operator may run elsewhere: then --api says where.
    source = connect(Where(where.api) if where.api != DEFAULT_API else where)
    rendered = source.rendered()
    fleets: dict[str, dict[Key, Wanted]] = {}
    for each in rendered:
        wanted = Wanted(version=each["version"], body=each["resource"])
        fleets.setdefault(each.get("edge", ""), {})[_key(each["resource"])] = wanted
    refused = {node["node"]: _refusals(node) for node in source.proxies()}
    return lambda dump: fleets.get(dump.fleet, fleets.get("", {})), refused


def _refusals(node: Json) -> dict[Key, str]:
    return {
        Key(KINDS[kind], name): refusal["message"]
        for kind, channel in node["types"].items()
        if kind in KINDS
        for name, refusal in channel["refused"].items()
    }


def _key(body: Json) -> Key:
    return Key(KINDS[body["@type"].rpartition(".")[2]], name_of(body))


def _of_directories(directories: Sequence[Path], state: StateFolder, bind: Sequence[str]) -> Mapping[Key, Wanted]:
    """As `ff up` with this state folder would make it of them."""
    from fastforward_compiler.emit.envoy import EmitSettings, EnvoyEmitter  # noqa: PLC0415 - the operator has compiled

    from fastforward_operator.supervisor.ports import has_ipv6  # noqa: PLC0415

    from .offline import load  # noqa: PLC0415
    from .render import envoy_body  # noqa: PLC0415

    loopback = ("127.0.0.1", "::1") if has_ipv6() else ("127.0.0.1",)
    settings = EmitSettings(bind_address=",".join(bind or loopback), access_log=str(state.logs / "access.log"))
    made = EnvoyEmitter(settings).apply(load(directories, state.dev).delta).upserts
    found = {}
    for resource in made:
        body = {"@type": resource.type_url, **envoy_body(resource, as_written=True)}
        found[_key(body)] = Wanted(version=resource.version, body=body)
    return found


def _compare(
    dump: Dump, wanted: Mapping[Key, Wanted], refused: Mapping[Key, str], kinds: frozenset[EnvoyKind]
) -> Comparison:
    found = differences(wanted, dump.resources, refused, equal)
    meant = kinds or frozenset(EnvoyKind)
    return Comparison(
        node=dump.node,
        wanted={key: each for key, each in wanted.items() if key.kind in meant},
        held={key: each for key, each in dump.resources.items() if key.kind in meant},
        found=[each for each in found if each.key.kind in meant],
    )


def _print_text(compared: Sequence[Comparison]) -> None:
    rows = [
        (
            each.node,
            one.key.kind,
            one.name,
            one.verdict,
            one.wanted[:_SHORT] or "-",
            one.held[:_SHORT] or "-",
            one.detail or "-",
        )
        for each in compared
        for one in each.found
    ]
    if rows:
        print_table(_TITLES, rows)
        print()
    for each in compared:
        differ = f"; {counted(len(each.found), 'difference')}" if each.found else ", as it should"
        print(f"{each.node} has {counted(len(each.held), 'resource')}{differ}.")


def _present(each: Comparison) -> dict[str, Any]:
    return {
        "node": each.node,
        "resources": len(each.held),
        "differences": [
            {
                "kind": one.key.kind,
                "name": one.name,
                "difference": one.verdict,
                "wantedVersion": one.wanted,
                "heldVersion": one.held,
                "detail": one.detail,
            }
            for one in each.found
        ],
    }


def _show(compared: Sequence[Comparison], name: str, output: Output) -> int:
    """One resource of both, as a diff, or as values."""
    differ, shown = False, []
    for each in compared:
        for key in sorted({**each.wanted, **each.held}):
            wants, has = each.wanted.get(key), each.held.get(key)
            body = wants.body if wants is not None else has.body if has is not None else None
            if name in (key.name, readable(key, body), f"{key.kind}/{key.name}"):
                differ |= any(one.key == key for one in each.found)
                shown.append(_both(each.node, key, wants, has))
    if not shown:
        print(f"Nobody has or should have {name}: `ff render DIR` lists what there is.", file=sys.stderr)
        return 1
    if output is Output.TEXT:
        print("\n\n".join("\n".join(_lines(each)) for each in shown))
    else:
        print_data({"resources": shown}, output)
    return 1 if differ else 0


def _both(node: str, key: Key, wants: Wanted | None, has: Held | None) -> dict[str, Any]:
    held = has.body if has is not None else None
    return {
        "node": node,
        "kind": key.kind,
        "name": key.name,
        "wanted": _content(key, wants.version, wants.body) if wants is not None else None,
        "held": _content(key, has.version, held) if has is not None and held is not None else None,
    }


def _content(key: Key, version: str, body: Json) -> dict[str, Any]:
    """Of a secret nothing but its version; of endpoints what Envoy says of them."""
    if key.kind is EnvoyKind.SECRET:
        return {"name": key.name, "version": version}
    if key.kind is EnvoyKind.ENDPOINTS:
        return {"name": key.name, "endpoints": sorted(addresses(body))}
    return canonical(body)


def _lines(shown: Mapping[str, Any]) -> Sequence[str]:
    title = f"{shown['kind']} {shown['name']} of {shown['node']}"
    wanted, held = (_yaml(shown[side]) for side in ("wanted", "held"))
    if wanted == held:
        return [f"{title}, as it should be", *(f"  {line}" for line in wanted)]
    return list(difflib.unified_diff(wanted, held, "should be", title, n=_ALL, lineterm=""))


def _yaml(value: object) -> list[str]:
    if value is None:
        return []
    return dump_documents(value, sort_keys=True, width=120).splitlines()
