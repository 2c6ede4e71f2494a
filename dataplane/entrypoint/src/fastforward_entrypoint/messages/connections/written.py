"""Connections and selections of them on the wire. Called by service and redis."""

from __future__ import annotations

from fastforward_websocket import Connected

from fastforward.connection.v1 import connection_pb2

from .port import EVERYBODY, Whose


def read_whose(selector: connection_pb2.Selector) -> Whose:
    """Returns which connections are meant; nothing set is everybody's."""
    match selector.WhichOneof("whose"):
        case "id":
            return Whose(id=selector.id)
        case "tenant":
            return Whose(tenant=selector.tenant)
        case "subject":
            return Whose(tenant=selector.subject.tenant, subject=selector.subject.subject)
        case _:
            return EVERYBODY


def write_whose(whose: Whose) -> connection_pb2.Selector:
    """Returns the wire form."""
    if whose.id is not None:
        return connection_pb2.Selector(id=whose.id)
    if whose.subject is not None:
        subject = connection_pb2.Subject(tenant=whose.tenant or "", subject=whose.subject)
        return connection_pb2.Selector(subject=subject)
    if whose.tenant is not None:
        return connection_pb2.Selector(tenant=whose.tenant)
    return connection_pb2.Selector(all=connection_pb2.All())


def read_connected(connection: connection_pb2.Connection) -> Connected:
    """Returns a connection of another process."""
    return Connected(
        id=connection.id,
        tenant=connection.tenant,
        subject=connection.subject,
        host=connection.host,
        since=connection.since.ToNanoseconds() / 1e9,
    )


def write_connected(about: Connected) -> connection_pb2.Connection:
    """Returns the wire form."""
    connection = connection_pb2.Connection(id=about.id, tenant=about.tenant, subject=about.subject, host=about.host)
    connection.since.FromNanoseconds(int(about.since * 1e9))
    return connection
