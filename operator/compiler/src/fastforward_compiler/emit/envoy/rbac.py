"""RBAC: conditions on requests, combined, and the refusal of what they match.

In: conditions. Out: principals (what Envoy calls a condition on who asks; it can see all of the request) and packed
per-route configuration. Called by admission and grant. RBAC here is always a list of refusals, each named by its
reason: Envoy logs the name of a refusal, but has none for a missing grant.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network

from google.protobuf import any_pb2

from .protos import (
    EnvoyMessage,
    address_pb2,
    http_rbac_pb2,
    metadata_matcher_pb2,
    range_pb2,
    rbac_pb2,
    route_components_pb2,
    string_pb2,
    value_pb2,
)
from .wire import literal_pattern, pack, regex, uint32

_PRINCIPAL = rbac_pb2.Principal
ANYBODY = _PRINCIPAL(any=True)
NOBODY = _PRINCIPAL(not_id=ANYBODY)

_ANY_ACTION = rbac_pb2.Permission(any=True)
_HEADER = route_components_pb2.HeaderMatcher
_INT64_MAX = (1 << 63) - 1
_FOUR, _MAPPED_BITS = 4, 96
_NOTHING: Mapping[str, EnvoyMessage] = {}
_PRESENT = value_pb2.ValueMatcher(present_match=True)


def every(*principals: EnvoyMessage) -> EnvoyMessage:
    """Returns the requests that match all of them; every request, of none."""
    return _PRINCIPAL(and_ids=_PRINCIPAL.Set(ids=principals)) if principals else ANYBODY


def some(*principals: EnvoyMessage) -> EnvoyMessage:
    """Returns the requests that match any of them; no request, of none."""
    return _PRINCIPAL(or_ids=_PRINCIPAL.Set(ids=principals)) if principals else NOBODY


def none(principal: EnvoyMessage) -> EnvoyMessage:
    """Returns the requests that do not match."""
    return _PRINCIPAL(not_id=principal)


def client_in(network: str) -> EnvoyMessage:
    """Returns the requests from clients in a network, seen past trusted hops.

    A hop may write an IPv4 address as IPv6 does (RFC 4291, section 2.5.5.2); Envoy takes that for another one.
    """
    parsed = ip_network(network, strict=False)
    same = [parsed]
    if parsed.version == _FOUR:
        same.append(ip_network(f"::ffff:{parsed.network_address}/{_MAPPED_BITS + parsed.prefixlen}"))
    prefixes = [
        address_pb2.CidrRange(address_prefix=str(each.network_address), prefix_len=uint32(each.prefixlen))
        for each in same
    ]
    return some(*(_PRINCIPAL(remote_ip=prefix) for prefix in prefixes))


def has_header(name: str) -> EnvoyMessage:
    """Returns the requests that have a header."""
    return _PRINCIPAL(header=_HEADER(name=name, present_match=True))


def header_matches(name: str, pattern: str) -> EnvoyMessage:
    """Returns the requests whose header matches a regular expression as a whole."""
    return _PRINCIPAL(header=_HEADER(name=name, string_match=string_pb2.StringMatcher(safe_regex=regex(pattern))))


def header_at_least(name: str, number: int) -> EnvoyMessage:
    """Returns the requests whose header is a number as large as this."""
    return _PRINCIPAL(header=_HEADER(name=name, range_match=range_pb2.Int64Range(start=number, end=_INT64_MAX)))


def metadata(namespace: str, path: tuple[str, ...], value: EnvoyMessage = _PRESENT) -> EnvoyMessage:
    """Returns the requests with such metadata, which filters write and clients can't; any value by default."""
    segment = metadata_matcher_pb2.MetadataMatcher.PathSegment
    matcher = metadata_matcher_pb2.MetadataMatcher(
        filter=namespace, path=[segment(key=key) for key in path], value=value
    )
    return _PRINCIPAL(sourced_metadata=rbac_pb2.SourcedMetadata(metadata_matcher=matcher))


def text_in(texts: tuple[str, ...]) -> EnvoyMessage:
    """Returns the metadata values that are one of the texts."""
    return text_matches("|".join(map(literal_pattern, texts)))


def text_matches(pattern: str, *, or_null: bool = False) -> EnvoyMessage:
    """Returns the metadata values that are texts and match as a whole; with `or_null`, also null."""
    matching = value_pb2.ValueMatcher(string_match=string_pb2.StringMatcher(safe_regex=regex(pattern)))
    if not or_null:
        return matching
    null = value_pb2.ValueMatcher(null_match=value_pb2.ValueMatcher.NullMatch())
    return value_pb2.ValueMatcher(or_match=value_pb2.OrMatcher(value_matchers=[matching, null]))


def contains(text: str) -> EnvoyMessage:
    """Returns the metadata values that contain a word: lists of it, or texts where spaces part words (RFC 9068)."""
    listed = value_pb2.ValueMatcher(string_match=string_pb2.StringMatcher(exact=text))
    words = string_pb2.StringMatcher(safe_regex=regex(f"(?:.* )?{literal_pattern(text)}(?: .*)?"))
    alternatives = [
        value_pb2.ValueMatcher(list_match=value_pb2.ListMatcher(one_of=listed)),
        value_pb2.ValueMatcher(string_match=words),
    ]
    return value_pb2.ValueMatcher(or_match=value_pb2.OrMatcher(value_matchers=alternatives))


def refuse(
    refused: Mapping[str, EnvoyMessage], shadow: Mapping[str, EnvoyMessage] = _NOTHING, *, told_as: str = ""
) -> any_pb2.Any | None:
    """Returns RBAC that refuses what matches, and only reports what matches in `shadow`; None of nothing.

    `told_as` begins the names of what it reports: filters would write over each other's.
    """
    config = http_rbac_pb2.RBAC(shadow_rules_stat_prefix=told_as if shadow else "")
    if refused:
        config.rules.CopyFrom(refusals(refused))
    if shadow:
        config.shadow_rules.CopyFrom(refusals(shadow))
    return pack(http_rbac_pb2.RBACPerRoute(rbac=config)) if refused or shadow else None


def refusals(refused: Mapping[str, EnvoyMessage]) -> EnvoyMessage:
    """Returns the rules."""
    policies = {
        name: rbac_pb2.Policy(permissions=[_ANY_ACTION], principals=[principal]) for name, principal in refused.items()
    }
    return rbac_pb2.RBAC(action=rbac_pb2.RBAC.DENY, policies=policies)
