"""Who a peer is, by its certificate. Called by server, and by servers of gRPC.

Peers say who they are by a URI in it, `spiffe://fastforward/ns/NAMESPACE/KIND/NAME` (spiffe.io, "SPIFFE ID").
"""

import asyncio
import re
from collections.abc import Sequence


def is_of_kind(transport: asyncio.BaseTransport, kind: str) -> bool:
    """Whether the peer's certificate names exactly one node, of this kind, which may be a pattern."""
    certificate = transport.get_extra_info("peercert") or {}
    return is_node([value for name, value in certificate.get("subjectAltName", ()) if name == "URI"], kind)


def is_node(uris: Sequence[str], kind: str) -> bool:
    """Whether these are the name of exactly one node, of this kind, which may be a pattern."""
    return (
        len(uris) == 1 and re.fullmatch(rf"spiffe://fastforward/ns/[a-z0-9.-]+/{kind}/[a-z0-9.-]+", uris[0]) is not None
    )
