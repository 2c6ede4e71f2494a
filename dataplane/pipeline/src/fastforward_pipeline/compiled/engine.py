"""The CEL engine, without the terminal programs that its package imports along.

`import cel` runs cel/__init__.py, which imports a command line with a shell: half a second and 18 MiB in every
process that decides. The engine is one extension module beside it, which is loaded here by itself, under the name
that it has in the package: whoever imports the package later finds it loaded. Used by compiled/expression.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from types import ModuleType

_NAME = "cel.cel"


def load_engine() -> ModuleType:
    """Returns the engine: `compile` makes a program of a source, `execute` runs it."""
    loaded = sys.modules.get(_NAME)
    if loaded is not None:
        return loaded
    package = find_spec("cel")
    folders = None if package is None else package.submodule_search_locations
    spec = None if folders is None else PathFinder.find_spec(_NAME, folders)
    if spec is None or spec.loader is None:
        raise ImportError("the CEL engine is not where its package has it", name=_NAME)
    engine = module_from_spec(spec)
    sys.modules[_NAME] = engine
    spec.loader.exec_module(engine)
    return engine
