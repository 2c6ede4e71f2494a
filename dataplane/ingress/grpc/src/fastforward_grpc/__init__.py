"""The gRPC adapter: calls of public services to messages, replies and errors to gRPC."""

from .adapter import GrpcAdapter
from .server import GrpcServer
