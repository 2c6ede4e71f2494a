"""Address lists to a filter that looks the client up once, delivered by ECDS, and conditions on what it found.

In: the ir.AddressLists of an Edge. Out: the filter, by name; conditions for admission. Called by edge, emitter and
admission. Source: Envoy, xds.type.matcher.v3.IPMatcher: a trie, so that a look-up costs the same in any number of
networks. The filter is an RBAC that refuses nothing: in the shadow it tells in metadata which of its rules matched,
and the name of a rule is the names of all lists that hold the networks in it: `|bots|DE|`. So lists are shared by all
routes, and a changed list changes neither a route nor a listener.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

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
_BETWEEN = ir.BETWEEN_LISTS
_LOST = "!"
"""Precedes the name of a list that nobody can read, at every address."""
_MATCHER = xds_matcher_pb2.Matcher
_FOUR_BITS, _SIX_BITS = 32, 128
_PREFIX_OF_MAPPED = _SIX_BITS - _FOUR_BITS

Network = tuple[str, int]
"""First address and length of the prefix."""


def lists_name(edge: str) -> str:
    """Returns the name of an Edge's filter."""
    return f"{LISTS}/{edge}"


def list_filters(edge: ir.Edge) -> list[EnvoyMessage]:
    """Returns the filter, if the Edge wants one."""
    return [discovered(lists_name(edge.name), http_rbac_pb2.RBAC)] if edge.has_lists else []


def emit_lists(edge: str, lists: Iterable[ir.AddressList]) -> dict[str, bytes]:
    """Returns the filter of an Edge, with all of its lists: no more than Envoy can hold, which translate sees to."""
    named = sorted(lists, key=lambda each: each.name)
    found = find_networks(named)
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


def find_networks(lists: Sequence[ir.AddressList]) -> dict[str, list[Network]]:
    """Returns the networks by the names of the lists that hold them."""
    fours, sixes = ir.parted(lists)
    found: dict[str, list[Network]] = {}
    for (first, last), label in fours:
        found.setdefault(label, []).extend(each for pair in four_networks(first, last) for each in pair)
    for (first, last), label in sixes:
        found.setdefault(label, []).extend(six_networks(first, last))
    return found


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
