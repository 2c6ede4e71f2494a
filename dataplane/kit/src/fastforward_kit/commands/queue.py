"""The queues of commands: one for each namespace and type, and one beside it for what could not be handled.

In: NAMESPACE/TYPE. Out: names, and queues declared in the one way that both ends know. Called by EntryPoint before it
publishes and by consumers before they consume: whoever comes first makes them, so that no command waits for a consumer
to be there.
"""

from __future__ import annotations

from aio_pika.abc import AbstractChannel, AbstractQueue

DELIVERIES = 6
"""Of one command: then it is left aside, whatever the reason."""
REMAKE_PAUSE_S = 0.3
"""A queue that was deleted is left away this long, so that its consumers are told. RabbitMQ (3.10) moves those of one
that is there again within some 20 ms, without a word, and delivers nothing to them."""
_DEAD = ".dead"


def name_queue(destination: str) -> str:
    """Returns the queue of NAMESPACE/TYPE: `ff.shop.orders.ship`. No namespace has a dot, so no two share one; and no
    Route has a Command whose type ends with `.dead`, so none is what another one's `dead_letters_of` says.
    """
    return f"ff.{destination.replace('/', '.', 1)}"


def dead_letters_of(queue: str) -> str:
    """Returns the queue of what was left aside."""
    return queue + _DEAD


async def declare(channel: AbstractChannel, queue: str) -> AbstractQueue:
    """Makes both, where they are not there. Raises an AMQPError when they are there in another form.

    Replicated (quorum), so that what was confirmed outlives a node. One consumer at a time has it, in order; another
    one steps in when that is gone. When it is full, publishers are told: nothing is dropped to make room.
    """
    dead = dead_letters_of(queue)
    await channel.declare_queue(dead, durable=True, arguments={"x-queue-type": "quorum"})
    return await channel.declare_queue(
        queue,
        durable=True,
        arguments={
            "x-queue-type": "quorum",
            "x-single-active-consumer": True,
            "x-overflow": "reject-publish",
            # Those after the first.
            "x-delivery-limit": DELIVERIES - 1,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": dead,
            "x-dead-letter-strategy": "at-least-once",
        },
    )
