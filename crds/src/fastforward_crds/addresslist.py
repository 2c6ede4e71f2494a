"""Networks of clients, kept in ConfigMaps: too many to be written into a resource, or a country's.

In: part of an Edge. Out: `AddressList`, `CountryData`. Called by edge.
"""

from __future__ import annotations

from typing import Annotated

from .formats import Label
from .lists import Items
from .meta import KeyRef, Model

Sources = Annotated[tuple[KeyRef, ...], Items(least=1, most=32)]


class AddressList(Model):
    """A list of networks that admissions call by its name."""

    name: Label
    """Name, unique in the Edge."""
    config_maps: Sources
    """Keys of ConfigMaps, put together: a network (CIDR) or an address a line; what follows # or ; is left out. A value
    may be compressed with gzip.
    """


class CountryData(Model):
    """Which networks are a country's."""

    config_maps: Sources
    """Keys of ConfigMaps, put together: `network,country` or `first,last,country` a line (CSV), with the country's code
    (ISO 3166-1 alpha-2). A value may be compressed with gzip.
    """
