"""Kinds of what an Envoy is told, as people name them. Imports nothing, because `ff --help` comes by here."""

from __future__ import annotations

from enum import StrEnum


class EnvoyKind(StrEnum):
    """In the order in which a request meets them."""

    LISTENER = "listener"
    EXTENSION = "extension"
    SCOPE = "scope"
    ROUTE = "route"
    CLUSTER = "cluster"
    ENDPOINTS = "endpoints"
    SECRET = "secret"
