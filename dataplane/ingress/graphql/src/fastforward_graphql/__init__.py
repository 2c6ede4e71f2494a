"""The GraphQL adapter: operations to messages, replies and errors to results."""

from .adapter import GraphqlAdapter
from .binding import SchemaError, bind
