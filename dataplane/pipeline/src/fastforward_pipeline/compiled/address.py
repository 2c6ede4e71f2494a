"""Networks to a set that is asked in a few look-ups. Called by the compiled admissions and scopes."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address, ip_network


class AddressSet:
    """The addresses in some networks (CIDR; a bare address means itself alone)."""

    __slots__ = ("_by_prefix",)

    def __init__(self, networks: Iterable[str]) -> None:
        by_prefix: dict[tuple[int, int], set[int]] = {}
        for text in networks:
            network = ip_network(text, strict=False)
            shift = network.max_prefixlen - network.prefixlen
            by_prefix.setdefault((network.version, shift), set()).add(int(network.network_address) >> shift)
        self._by_prefix = tuple((version, shift, frozenset(found)) for (version, shift), found in by_prefix.items())

    def __contains__(self, text: str) -> bool:
        address = parse_address(text)
        if address is None:
            return False
        version, number = address
        return any(version == family and number >> shift in found for family, shift, found in self._by_prefix)


def parse_address(text: str) -> tuple[int, int] | None:
    """The version and the number of an address; None of what is none. One that IPv6 maps is the IPv4 one."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.version, int(address)


def is_address(text: str) -> bool:
    """Whether `text` is an IP address at all."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
