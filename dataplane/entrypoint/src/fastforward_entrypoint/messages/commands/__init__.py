"""Commands: messages that are handed to RabbitMQ, for whoever consumes them."""

from .port import Commands, NoCommands, NotTakenError, RunningCommands, UncertainError
