"""Address lists to a filter that looks the client up once, delivered by ECDS, and conditions on what it found.

In: the ir.AddressLists of an Edge. Out: the filter, by name; conditions for admission. Called by edge, emitter and
admission. Source: Envoy, xds.type.matcher.v3.IPMatcher: a trie, so that a look-up costs the same in any number of
networks. The filter is an RBAC that refuses nothing: in the shadow it tells in metadata which of its rules matched,
and the name of a rule is the names of all lists that hold the networks in it: `|bots|DE|`. So lists are shared by all
routes, and a changed list changes neither a route nor a listener.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from fastforward_compiler import ir

from .chain import LISTED, LISTS, RBAC, discovered
from .protos import (
    EnvoyMessage,
    http_rbac_pb2,
    network_inputs_pb2,
    rbac_pb2,
    xds_extension_pb2,
    xds_ip_pb2,
    xds_matcher_pb2,
)
from .rbac import metadata, none, some, text_matches
from .wire import extension, literal_pattern, pack

_FOUND = f"{LISTED}shadow_effective_policy_id"
_BETWEEN = "|"
_LOST = "!"
"""Precedes the name of a list that nobody can read, at every address."""
_MATCHER = xds_matcher_pb2.Matcher
_FOUR_BITS, _SIX_BITS = 32, 128
_MAPPED = 0xFFFF << _FOUR_BITS
_MAPPED_SPAN = (_MAPPED, _MAPPED + (1 << _FOUR_BITS) - 1)
_PREFIX_OF_MAPPED = _SIX_BITS - _FOUR_BITS

_MOST_NETWORKS = 250_000
"""Envoy's trie takes 262,144 of each family; those of IPv4 count for both."""

Network = tuple[str, int]
"""First address and length of the prefix."""
Labelled = tuple[ir.Span, str]
"""Addresses that are in the same lists, and the lists' names."""


def lists_name(edge: str) -> str:
    """Returns the name of an Edge's filter."""
    return f"{LISTS}/{edge}"


def list_filters(edge: ir.Edge) -> list[EnvoyMessage]:
    """Returns the filter, if the Edge wants one."""
    return [discovered(lists_name(edge.name), http_rbac_pb2.RBAC)] if edge.has_lists else []


def emit_lists(edge: str, lists: Iterable[ir.AddressList]) -> dict[str, bytes]:
    """Returns the filter of an Edge, with all of its lists; where Envoy can't hold them, the largest are lost."""
    named = sorted(lists, key=lambda each: each.name)
    while (found := find_networks(named)) is None:
        largest = max(named, key=lambda each: (len(each.four) + len(each.six), each.name))
        named = [replace(each, four=b"", six=b"", lost=True) if each is largest else each for each in named]
    lost = tuple(_LOST + each.label for each in named if each.lost)
    config = http_rbac_pb2.RBAC(shadow_rules_stat_prefix=LISTED, shadow_matcher=_MATCHER(on_no_match=_telling(lost)))
    if found:
        matcher = xds_ip_pb2.IPMatcher()
        for text, networks in sorted(found.items()):
            ranges = matcher.range_matchers.add(on_match=_telling((*text.split(_BETWEEN), *lost))).ranges
            for address, length in networks:
                # The cheapest way: there may be some hundred thousand.
                network = ranges.add()
                network.address_prefix = address
                network.prefix_len.value = length
        config.shadow_matcher.matcher_tree.CopyFrom(_tree(matcher))
    return {lists_name(edge): extension(lists_name(edge), config)}


def find_networks(lists: Sequence[ir.AddressList]) -> dict[str, list[Network]] | None:
    """Returns the networks by the names of the lists that hold them; None of more than Envoy can hold."""
    spans = [(each.label, *each.spans()) for each in lists]
    found: dict[str, list[Network]] = {}
    fours = sixes = 0
    for (first, last), label in label_spans([(name, four) for name, four, _ in spans]):
        made = list(four_networks(first, last))
        fours += len(made)
        found.setdefault(label, []).extend(each for pair in made for each in pair)
    for span, label in label_spans([(name, six) for name, _, six in spans]):
        made = [each for first, last in without_mapped(span) for each in six_networks(first, last)]
        sixes += len(made)
        found.setdefault(label, []).extend(made)
    return found if fours + sixes <= _MOST_NETWORKS else None


def _telling(names: tuple[str, ...]) -> EnvoyMessage:
    """Returns the rule that tells them: it has a name also where there is none, for no filter tells nothing."""
    text = _BETWEEN.join(("", *names, "")) if names else _BETWEEN
    action = pack(rbac_pb2.Action(name=text, action=rbac_pb2.RBAC.ALLOW))
    return _MATCHER.OnMatch(action=xds_extension_pb2.TypedExtensionConfig(name="tell", typed_config=action))


def _tree(matcher: EnvoyMessage) -> EnvoyMessage:
    """Returns the trie over the client's address, seen past trusted hops."""
    config = xds_extension_pb2.TypedExtensionConfig
    return _MATCHER.MatcherTree(
        input=config(name="address", typed_config=pack(network_inputs_pb2.SourceIPInput())),
        custom_match=config(name="networks", typed_config=pack(matcher)),
    )


def label_spans(lists: Iterable[tuple[str, list[ir.Span]]]) -> Iterator[Labelled]:
    """Yields disjoint ranges, sorted, each with the names of the lists that hold it, parted by the mark.

    Of one list the ranges are sorted and don't touch.
    """
    edges: dict[int, list[tuple[str, bool]]] = {}
    for name, spans in lists:
        for first, last in spans:
            edges.setdefault(first, []).append((name, True))
            edges.setdefault(last + 1, []).append((name, False))
    within: set[str] = set()
    begin, label = 0, ""
    for at in sorted(edges):
        if label:
            yield (begin, at - 1), label
        for name, begins in edges[at]:
            (within.add if begins else within.discard)(name)
        begin, label = at, _BETWEEN.join(sorted(within))


def without_mapped(span: ir.Span) -> Iterator[ir.Span]:
    """Yields the range without the addresses that are IPv4 ones: these are looked up as such."""
    first, last = span
    if last < _MAPPED_SPAN[0] or first > _MAPPED_SPAN[1]:
        yield span
        return
    if first < _MAPPED_SPAN[0]:
        yield first, _MAPPED_SPAN[0] - 1
    if last > _MAPPED_SPAN[1]:
        yield _MAPPED_SPAN[1] + 1, last


def four_networks(first: int, last: int) -> Iterator[tuple[Network, Network]]:
    """Yields the networks of IPv4, and with each the one of IPv6 that means the same (RFC 4291, section 2.5.5.2)."""
    for number, length in ir.networks_of(first, last, _FOUR_BITS):
        text = f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        yield (text, length), (f"::ffff:{text}", _PREFIX_OF_MAPPED + length)


def six_networks(first: int, last: int) -> Iterator[Network]:
    """Yields the networks of IPv6."""
    for number, length in ir.networks_of(first, last, _SIX_BITS):
        yield ":".join(f"{number >> shift & 0xFFFF:x}" for shift in range(112, -1, -16)), length


def client_in_any(names: tuple[str, ...]) -> EnvoyMessage:
    """Returns the requests from clients in any of the lists."""
    return _found(_any_of(names))


def client_in_any_or_unknown(names: tuple[str, ...]) -> EnvoyMessage:
    """Returns the same, and those of which nobody can say it: a list is lost, or nobody has looked.

    Nobody looks on connections that are older than the first list of their Edge.
    """
    lost = f"{literal_pattern(_LOST)}(?:{_any_of(names)})"
    return some(none(metadata(RBAC, (_FOUND,))), _found(_any_of(names)), _found(lost))


def _any_of(names: tuple[str, ...]) -> str:
    return "|".join(literal_pattern(name.rpartition("|")[2]) for name in names)


def _found(pattern: str) -> EnvoyMessage:
    mark = literal_pattern(_BETWEEN)
    return metadata(RBAC, (_FOUND,), text_matches(f".*{mark}(?:{pattern}){mark}.*"))
