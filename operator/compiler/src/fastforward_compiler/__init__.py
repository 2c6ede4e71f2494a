"""Pure compiler: resources to intermediate representation to Envoy and decision configuration."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .compile import Compiler, Judgement, compile_world, object_ref

__all__ = ["Compiler", "Judgement", "compile_world", "object_ref"]


def __getattr__(name: str) -> object:
    """Load compile when it is asked for: whoever reads resources needs the Problems, and not what finds them."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import compile  # noqa: A004, PLC0415

    return getattr(compile, name)
