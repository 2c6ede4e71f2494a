"""The command `ff`: one module a command, each imported only when it runs, so that `ff --help` is instant.

In: arguments. Out: text, or JSON and YAML with `-o`; exit code 0, 1 for a user's mistake, 2 for a wrong call.
"""

from .main import main

__all__ = ["main"]
