"""Address lists and countries: what ConfigMaps hold, and which of it admissions ask for.

In: an Edge's `addressLists` and `countries`, the ConfigMaps that they name. Out: `ir.AddressList` for each list or
country that an admission asks for, and Problems. Called by edge and route. Only what is asked for is made: of a
database of all countries the few that somebody lets in or keeps out. Lists are long, so each step is a cell of its own:
a changed list touches no Route.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

import fastforward_crds as crds

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells, Index, Rule
from fastforward_compiler.problem import ObjectRef, Problem, Reason, problem

from .certificate import Unusable
from .networks import Gathered, parse_countries, parse_networks
from .reference import is_permitted, target
from .world import CONFIG_MAPS, EDGES, ref_of

_GZIP = b"\x1f\x8b"
_GZIP_WINDOW = 31
_MAX_FAULTS = 16
_MAX_BYTES = 32 * 1024 * 1024
"""Of a value, as text: a small one may hide a large one."""
_MAX_NETWORKS = 100_000
"""Of one list: a proxy holds two and a half of them for an Edge."""
_MOST_OF_EDGE = 250_000
"""Of all lists of an Edge that admissions ask for. Envoy's trie takes 262,144 of each family; those of IPv4 count for
both.
"""
_SURELY_FEW = 400
"""So many ranges are never more networks than that, however they cut each other."""
_FAMILIES = (32, 128)
"""Bits of an address."""

_ALL_COUNTRIES = "COUNTRIES"
"""What the data of countries goes by among lists."""

Found = Mapping[str, Gathered]
"""Networks by country; by "" of a list."""


class Content(NamedTuple):
    """What a key holds, and which lines of it are left out."""

    found: Found
    faults: tuple[str, ...]


class Source(NamedTuple):
    """A key of a ConfigMap, and the field that names it."""

    field: str
    config_map: str
    key: str


class Surplus(NamedTuple):
    """A list that no proxy could hold beside the others of its Edge."""

    label: str
    count: int
    """Of its networks."""
    of: int
    """Of all."""

    def told(self, edge: str) -> str:
        """Says what becomes of it, and why."""
        what = f"country {self.label}" if is_country(self.label) else f"address list {self.label}"
        return (
            f"The {what} of Edge {edge} has {self.count:,} of {self.of:,} networks that its admissions ask for, and "
            f"may ask for {_MOST_OF_EDGE:,}: it lets nobody in and keeps everybody out."
        )


def lists_of(admission: ir.Admission) -> tuple[str, ...]:
    """Names of all lists that it asks for."""
    return admission.allow_lists + admission.deny_lists


def list_problems(cells: Cells, on: ObjectRef, edge: str, said: crds.Admission) -> Iterator[Problem]:
    """Yields what is wrong with the lists and countries that an admission asks for."""
    fields = (
        ("allowLists", said.allow_lists),
        ("denyLists", said.deny_lists),
        ("allowCountries", said.allow_countries),
        ("denyCountries", said.deny_countries),
    )
    for field, labels in fields:
        for place, label in enumerate(labels):
            if message := cells.read(USABLE, edge, label):
                yield problem(on, Reason.ADDRESS_LIST_NOT_FOUND, f"spec.admission.{field}[{place}]", message)


def _make_content(cells: Cells, config_map: str, key: str, *, countries: bool) -> Content | Unusable:
    """The networks of a key, by country where it says so."""
    found = cells.read(CONFIG_MAPS, config_map)
    if found is None:
        return Unusable(Reason.SECRET_NOT_FOUND, f"ConfigMap {config_map} was not found.")
    value = found.value(key)
    if value is None:
        return Unusable(Reason.SECRET_INVALID, f"ConfigMap {config_map} has no key {key}.")
    text = _text(value)
    if text is None:
        message = f"Key {key} of ConfigMap {config_map} is no text in UTF-8 of at most {_MAX_BYTES >> 20} MiB."
        return Unusable(Reason.SECRET_INVALID, message)
    made, faults = parse_countries(text) if countries else parse_networks(text)
    place = f"of key {key} of ConfigMap {config_map}"
    told = [f"Line {fault.line} {place} {fault.why}." for fault in faults[:_MAX_FAULTS]]
    if len(faults) > len(told):
        told.append(f"{len(faults) - len(told)} further lines {place} are left out.")
    return Content(made, tuple(told))


def _text(value: bytes) -> str | None:
    if value.startswith(_GZIP):
        unpacker = zlib.decompressobj(_GZIP_WINDOW)
        try:
            value = unpacker.decompress(value, _MAX_BYTES)
        except zlib.error:
            return None
        if not unpacker.eof or unpacker.unused_data:
            return None
    try:
        return value.decode() if len(value) <= _MAX_BYTES else None
    except UnicodeDecodeError:
        return None


def _make_networks(cells: Cells, config_map: str, key: str) -> Content | Unusable:
    return _make_content(cells, config_map, key, countries=False)


def _make_countries(cells: Cells, config_map: str, key: str) -> Content | Unusable:
    return _make_content(cells, config_map, key, countries=True)


def _make_sources(cells: Cells, edge: str, label: str) -> tuple[Source, ...] | None:
    """Where a list is kept, or the data of countries; None when the Edge does not say."""
    said = cells.read(EDGES, edge)
    if said is None:
        return None
    namespace = edge.partition("/")[0]
    if label == _ALL_COUNTRIES:
        data = said.spec.countries
        return None if data is None else _sources("spec.countries", data.config_maps, namespace)
    for place, each in enumerate(said.spec.address_lists):
        if each.name == label:
            return _sources(f"spec.addressLists[{place}]", each.config_maps, namespace)
    return None


def _sources(field: str, refs: Iterable[crds.KeyRef], namespace: str) -> tuple[Source, ...]:
    return tuple(
        Source(f"{field}.configMaps[{place}]", target(ref, namespace), ref.key) for place, ref in enumerate(refs)
    )


def is_country(label: str) -> bool:
    """Whether it names a country, not a list: lists have no capital letters."""
    return label.isupper()


def _find_sources(cells: Cells, edge: str, label: str) -> tuple[Source, ...] | None:
    return cells.read(SOURCES, edge, _ALL_COUNTRIES if is_country(label) else label)


def _read(cells: Cells, edge: str, label: str, source: Source) -> Content | Unusable:
    namespace = edge.partition("/")[0]
    if not is_permitted(cells, kind="Edge", namespace=namespace, to_kind="ConfigMap", to=source.config_map):
        message = f"ConfigMap {source.config_map} is in another namespace, and no ReferenceGrant there permits it."
        return Unusable(Reason.REF_NOT_PERMITTED, message)
    return cells.read(COUNTRIES if is_country(label) else NETWORKS, source.config_map, source.key)


def _make_list(cells: Cells, edge: str, label: str) -> ir.AddressList:
    """A part of a list is none: it is lost as a whole while one of its sources can't be read."""
    name = f"{edge}|{label}"
    contents = [_read(cells, edge, label, source) for source in _find_sources(cells, edge, label) or ()]
    found = [each.found for each in contents if isinstance(each, Content)]
    if not contents or len(found) < len(contents):
        return ir.AddressList(name=name, lost=True)
    gathered = Gathered.union(each[key] for each in found if (key := label if is_country(label) else "") in each)
    if _count_networks(gathered) > _MAX_NETWORKS:
        return ir.AddressList(name=name, lost=True)
    return ir.AddressList(name=name, four=ir.packed_four(gathered.four), six=ir.packed_six(gathered.six))


def _count_networks(gathered: Gathered) -> int:
    return sum(
        1
        for spans, bits in zip(gathered, _FAMILIES, strict=True)
        for first, last in spans
        for _ in ir.networks_of(first, last, bits)
    )


def _make_needed(cells: Cells, edge: str, label: str) -> str:
    """Makes the list, as somebody asks for it; what is wrong with that, or nothing. The list's edits end here."""
    made = cells.read(LIST, edge, label)
    what = f"country {label}" if is_country(label) else f"address list {label}"
    if _find_sources(cells, edge, label) is None:
        return f"Edge {edge} has no data of countries." if is_country(label) else f"Edge {edge} has no {what}."
    if made.lost:
        return f"The {what} of Edge {edge} can't be read: see the Edge; it may hold {_MAX_NETWORKS:,} networks."
    if is_country(label) and not (made.four or made.six):
        return f"The data of Edge {edge} has no network of {what}."
    return ""


def _find_surplus(cells: Cells, edge: str) -> tuple[Surplus, ...]:
    """The lists of an Edge that a proxy could not hold beside the others, the largest first.

    It reads what is asked for and makes nothing: its value is the same for nearly all edits of a list.
    """
    lists = [cells.read(LIST, edge, label) for label in sorted(cells.read(NEEDED_ON, edge))]
    lost: list[Surplus] = []
    while sum(len(each.four) // 8 + len(each.six) // 32 for each in lists) > _SURELY_FEW:
        count = ir.count_networks(lists)
        if count <= _MOST_OF_EDGE:
            break
        largest = max(lists, key=lambda each: (len(each.four) + len(each.six), each.name))
        lists.remove(largest)
        lost.append(Surplus(largest.label, ir.count_networks([largest]), count))
    return tuple(lost)


def _surplus(cells: Cells, edge: str, label: str) -> Surplus | None:
    return next((each for each in cells.read(SURPLUS, edge) if each.label == label), None)


def _make_kept(cells: Cells, edge: str, label: str) -> ir.AddressList:
    """The list, as proxies and decision services get it."""
    made = cells.read(LIST, edge, label)
    return made if _surplus(cells, edge, label) is None else replace(made, four=b"", six=b"", lost=True)


def _make_usable(cells: Cells, edge: str, label: str) -> str:
    """What is wrong with a list that somebody asks for, or nothing."""
    cells.read(KEPT, edge, label)
    needed, surplus = cells.read(NEEDED, edge, label), _surplus(cells, edge, label)
    return needed if needed or surplus is None else surplus.told(edge)


def surplus_problems(cells: Cells, on: ObjectRef, edge: str, said: crds.EdgeSpec) -> Iterator[Problem]:
    """Yields which of the lists that an Edge declares no proxy could hold beside the others."""
    places = {each.name: f"spec.addressLists[{place}]" for place, each in enumerate(said.address_lists)}
    for each in cells.read(SURPLUS, edge):
        field = places.get(each.label, "spec.countries")
        yield problem(on, Reason.ADDRESS_LIST_NOT_FOUND, field, each.told(edge))


def _make_faults(cells: Cells, edge: str) -> tuple[Problem, ...]:
    """What is wrong with all that the Edge declares, whether or not anybody asks for it."""
    said = cells.read(EDGES, edge)
    labels = [each.name for each in said.spec.address_lists] if said is not None else []
    labels.append(_ALL_COUNTRIES)
    on = ref_of("Edge", edge)
    return tuple(
        problem(on, reason, source.field, message)
        for label in labels
        for source in cells.read(SOURCES, edge, label) or ()
        for reason, message in _told(_read(cells, edge, label, source))
    )


def _told(content: Content | Unusable) -> Iterator[tuple[Reason, str]]:
    if isinstance(content, Unusable):
        yield content.reason, content.message
    else:
        for fault in content.faults:
            yield Reason.SECRET_INVALID, fault


_Make = Callable[..., Content | Unusable]

NETWORKS: Rule[Content | Unusable] = Rule("networks", _make_networks)
"""(ConfigMap, key)."""
COUNTRIES: Rule[Content | Unusable] = Rule("countries", _make_countries)
"""(ConfigMap, key)."""
SOURCES: Rule[tuple[Source, ...] | None] = Rule("sources of a list", _make_sources)
"""(Edge, list)."""
LIST: Rule[ir.AddressList] = Rule("address list", _make_list)
"""(Edge, list or country)."""
NEEDED: Rule[str] = Rule("needed list", _make_needed, gives=lambda _, edge, label: (((NEEDED_ON, edge), label),))
"""(Edge, list or country)."""
SURPLUS: Rule[tuple[Surplus, ...]] = Rule("surplus lists", _find_surplus)
"""(Edge)."""
KEPT: Rule[ir.AddressList] = Rule("kept list", _make_kept)
"""(Edge, list or country)."""
USABLE: Rule[str] = Rule("usable list", _make_usable)
"""(Edge, list or country)."""
NEEDED_ON: Index[str] = Index("lists by the edge on which they are needed")
"""(Edge) -> lists and countries."""
FAULTS: Rule[tuple[Problem, ...]] = Rule("faults of lists", _make_faults)
"""(Edge)."""
