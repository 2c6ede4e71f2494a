"""What a command says of a failure that no other sentence is for: one line, and never a traceback on the screen.

In: an exception that nobody expected. Out: a sentence; where the defect may be ours, the traceback in a file that can
be sent to us. Called by cli/main.
"""

from __future__ import annotations

import tempfile
import traceback


def sentence(error: Exception) -> str:
    """One line for people."""
    if isinstance(error, OSError):
        about = f"{error.filename}: " if error.filename else ""
        return f"ff: {about}{error.strerror or error}."
    with tempfile.NamedTemporaryFile("w", prefix="ff-defect-", suffix=".txt", delete=False) as file:
        traceback.print_exception(error, file=file)
    return f"ff: a defect of ours ({type(error).__name__}: {str(error)[:200]!r}): please report it with {file.name}."
