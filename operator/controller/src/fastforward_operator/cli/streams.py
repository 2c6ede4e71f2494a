"""Standard input, output and error, whatever the command was started with.

In: the streams that Python made. Out: streams that can be written to. Called by cli/main; imports little.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path


def discard() -> None:
    """What could not be written is not tried again at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def prepare() -> None:
    """Started with `>&-` there is no stream: what is written goes nowhere, and into no file that is opened later."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # It takes the lowest number that is free: the stream's own.
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 - open until the end
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # What the terminal's encoding lacks is escaped: a name in another script must not end the command.
            stream.reconfigure(errors="backslashreplace")
