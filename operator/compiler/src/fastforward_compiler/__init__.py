"""Pure compiler: resources to intermediate representation to Envoy and decision configuration."""

from .compile import Compiler, compile_world, object_ref

__all__ = ["Compiler", "compile_world", "object_ref"]
