"""Authentication to the filter jwt_authn, delivered by ECDS. Called by emitter."""

from __future__ import annotations

from .chain import JWT
from .protos import jwt_authn_pb2
from .wire import extension


def emit_jwt() -> dict[str, bytes]:
    """Returns the filters by name."""
    return {JWT: extension(JWT, jwt_authn_pb2.JwtAuthentication())}
