"""Intermediate representation to Envoy's configuration, as named, content-versioned resources for delta ADS.

In: an ir.Delta. Out: an EnvoyDelta. Called by the operator, which publishes it, and by `ff render`.
"""

from .bootstrap import Place, Trust, bootstrap
from .emitter import EnvoyEmitter
from .mutualtls import TLS_FOLDER, Peer, documents
from .resource import EmitSettings, EnvoyDelta, EnvoyResource

__all__ = [
    "TLS_FOLDER",
    "EmitSettings",
    "EnvoyDelta",
    "EnvoyEmitter",
    "EnvoyResource",
    "Peer",
    "Place",
    "Trust",
    "bootstrap",
    "documents",
]
