"""Logins by OpenID Connect to their wire form. Called by authpolicy and emitter."""

from __future__ import annotations

from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_compiler import ir

from .servicetls import emit_tls


def emit_oidc(login: ir.OidcLogin) -> snapshot_pb2.OidcProvider:
    """Returns the wire form of what judges a login."""
    return snapshot_pb2.OidcProvider(
        issuer=login.issuer,
        keyset=login.keyset,
        tenant_claim=login.tenant_claim,
        roles_claim=login.roles_claim,
        permissions_claim=login.permissions_claim,
        authorization_url=login.authorization_url,
        end_session_url=login.end_session_url,
        scope=login.scope,
        origin=login.origin,
        redirect_path=login.redirect_path,
        logout_path=login.logout_path,
        session_seconds=login.session_s,
    )


def emit_oidc_client(client: ir.OidcClient) -> snapshot_pb2.OidcClient:
    """Returns the wire form of a client: what is secret of it, and where the issuer is asked."""
    wire = snapshot_pb2.OidcClient(
        client_id=client.client_id,
        secret=client.secret,
        token_url=client.token_url,
        in_form=client.in_form,
        endpoints=[snapshot_pb2.Endpoint(address=each.address, port=each.port) for each in client.endpoints],
    )
    if client.dns is not None:
        wire.dns_host, wire.dns_port = client.dns.host, client.dns.port
    if client.tls is not None:
        wire.tls.CopyFrom(emit_tls(client.tls))
    return wire
