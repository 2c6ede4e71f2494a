"""Connections that clients hold open: who they are, and a way to speak to them unasked.

`redis` is imported by whoever uses it: its client costs a good part of a start.
"""

from .in_process import LocalConnections
from .port import EVERYBODY, Done, Elsewhere, Listed, Registry, Whose

__all__ = ["EVERYBODY", "Done", "Elsewhere", "Listed", "LocalConnections", "Registry", "Whose"]
