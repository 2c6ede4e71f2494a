"""The command `ff`: one module a command, each imported only when it runs, so that `ff --help` is instant.

In: arguments. Out: text, or JSON and YAML with `-o`; exit code 0, 1 for a user's mistake, 2 for a wrong call.
"""

import signal


def main() -> None:
    """Run the command line. Ctrl-C while it is still being imported ends it without a word."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from .main import main as run  # noqa: PLC0415 - so that the line above comes first

    signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


__all__ = ["main"]
