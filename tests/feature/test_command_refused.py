"""Commands where decision services have no RabbitMQ: refused over each protocol, and neighbours serve."""

from __future__ import annotations

import pytest

from support.four_protocols import PROTOCOLS, world
from support.gateway import Gateway


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_command_that_nobody_can_take_is_refused(deciding_gateway: Gateway, protocol: str) -> None:
    deciding_gateway.apply(*world({"type": "shop.orders.place", "delivery": "Command"}))
    told = PROTOCOLS[protocol](deciding_gateway, "k-1", prefer="wait=1")
    assert (told.code, told.reason) in {("503", "dispatch/unavailable"), ("UNAVAILABLE", "dispatch/unavailable")}
    # Nothing was taken: the same key is free for another attempt, which meets the same.
    assert PROTOCOLS[protocol](deciding_gateway, "k-1").reason == "dispatch/unavailable"
