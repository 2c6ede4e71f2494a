"""Webhooks: events that leave the product, signed, tried again, and kept until they are delivered.

`postgresql` and `sending` are imported by whoever uses them: their clients cost a good part of a start.
"""

from .delivering import Courier
from .in_process import InProcessOutbox
from .port import Dead, Delivered, Delivery, Later, Letter, Outbox, Outcome, Wish
from .telling import Hooks

__all__ = [
    "Courier",
    "Dead",
    "Delivered",
    "Delivery",
    "Hooks",
    "InProcessOutbox",
    "Later",
    "Letter",
    "Outbox",
    "Outcome",
    "Wish",
]
