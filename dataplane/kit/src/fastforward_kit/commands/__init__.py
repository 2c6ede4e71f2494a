"""Commands over RabbitMQ: their queues, and a consumer that workloads run. The client is loaded by whoever imports it.

A command is an Envelope that is delivered at least once, in order, to one consumer of its type.
"""

from .broker import Broker
from .consumer import Consumer, Handler, once_key
from .queue import REMAKE_PAUSE_S, dead_letters_of, declare, name_queue
