"""The REST adapter: HTTP requests to messages, replies and errors to HTTP."""

from .app import Exchange, RestApp
