"""The REST adapter: HTTP requests to messages, replies and errors to HTTP."""

from .adapter import Exchange, RestAdapter
