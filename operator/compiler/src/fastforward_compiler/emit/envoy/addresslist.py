"""Address lists to a filter that looks the client up once, delivered by ECDS, and conditions on what it found.

In: the ir.AddressLists of an Edge. Out: the filter, by name; conditions for admission. Called by edge, emitter and
admission. Source: Envoy, xds.type.matcher.v3.IPMatcher: a trie, so that a look-up costs the same in any number of
networks. The filter is an RBAC that refuses nothing: in the shadow it tells in metadata which of its rules matched,
and the name of a rule is the names of all lists that hold the networks in it: `|bots|DE|`. So lists are shared by all
routes, and a changed list changes neither a route nor a listener.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fastforward_compiler import ir

from .chain import LISTED, LISTS, RBAC, discovered
from .protos import (
    EnvoyMessage,
    http_rbac_pb2,
    network_inputs_pb2,
    rbac_pb2,
    xds_cidr_pb2,
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

Labelled = tuple[ir.Span, str]
"""Addresses that are in the same lists, and the lists' names."""


def lists_name(edge: str) -> str:
    """Returns the name of an Edge's filter."""
    return f"{LISTS}/{edge}"


def list_filters(edge: ir.Edge) -> list[EnvoyMessage]:
    """Returns the filter, if the Edge wants one."""
    return [discovered(lists_name(edge.name), http_rbac_pb2.RBAC)] if edge.has_lists else []


def emit_lists(edge: str, lists: Iterable[ir.AddressList]) -> dict[str, bytes]:
    """Returns the filter of an Edge, with all of its lists."""
    named = sorted(lists, key=lambda each: each.name)
    lost = tuple(_LOST + each.label for each in named if each.lost)
    spans = [(each.label, *each.spans()) for each in named]
    matchers: dict[str, list[EnvoyMessage]] = {}
    for (first, last), label in label_spans([(name, four) for name, four, _ in spans]):
        matchers.setdefault(label, []).extend(four_ranges(first, last))
    for span, label in label_spans([(name, six) for name, _, six in spans]):
        for first, last in without_mapped(span):
            matchers.setdefault(label, []).extend(six_ranges(first, last))
    ranges = [
        xds_ip_pb2.IPMatcher.IPRangeMatcher(ranges=found, on_match=_telling((*label, *lost)))
        for label, found in sorted((tuple(text.split(_BETWEEN)), found) for text, found in matchers.items())
    ]
    config = http_rbac_pb2.RBAC(shadow_rules_stat_prefix=LISTED, shadow_matcher=_MATCHER(on_no_match=_telling(lost)))
    if ranges:
        config.shadow_matcher.matcher_tree.CopyFrom(_tree(ranges))
    return {lists_name(edge): extension(lists_name(edge), config)}


def _telling(names: tuple[str, ...]) -> EnvoyMessage:
    """Returns the rule that tells them: it has a name also where there is none, for no filter tells nothing."""
    text = _BETWEEN.join(("", *names, "")) if names else _BETWEEN
    action = pack(rbac_pb2.Action(name=text, action=rbac_pb2.RBAC.ALLOW))
    return _MATCHER.OnMatch(action=xds_extension_pb2.TypedExtensionConfig(name="tell", typed_config=action))


def _tree(ranges: list[EnvoyMessage]) -> EnvoyMessage:
    """Returns the trie over the client's address, seen past trusted hops."""
    address, matcher = network_inputs_pb2.SourceIPInput(), xds_ip_pb2.IPMatcher(range_matchers=ranges)
    config = xds_extension_pb2.TypedExtensionConfig
    return _MATCHER.MatcherTree(
        input=config(name="address", typed_config=pack(address)),
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


def four_ranges(first: int, last: int) -> Iterator[EnvoyMessage]:
    """Yields the networks of IPv4, and those of IPv6 that mean the same (RFC 4291, section 2.5.5.2)."""
    for number, length in networks(first, last, _FOUR_BITS):
        text = f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        yield _range(text, length)
        yield _range(f"::ffff:{text}", _PREFIX_OF_MAPPED + length)


def six_ranges(first: int, last: int) -> Iterator[EnvoyMessage]:
    """Yields the networks of IPv6."""
    for number, length in networks(first, last, _SIX_BITS):
        groups = (f"{number >> shift & 0xFFFF:x}" for shift in range(112, -1, -16))
        yield _range(":".join(groups), length)


def _range(address: str, length: int) -> EnvoyMessage:
    return xds_cidr_pb2.CidrRange(address_prefix=address, prefix_len={"value": length})


def networks(first: int, last: int, bits: int) -> Iterator[tuple[int, int]]:
    """Yields the networks that make up a range: the number of the first address, and the length of the prefix."""
    while first <= last:
        aligned = (first & -first).bit_length() - 1 if first else bits
        size = min(aligned, (last - first + 1).bit_length() - 1)
        yield first, bits - size
        first += 1 << size


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
