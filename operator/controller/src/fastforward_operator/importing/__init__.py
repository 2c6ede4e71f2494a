"""Manifests of others to resources of ours: Ingress, Traefik's kinds, Gateway API.

In: files. Out: documents, and a note for every field that was read. Called by the command `ff import`. No field is
dropped in silence: what no translator asked for is told as well.
"""

from .conversion import Imported, import_files
from .reading import Note, ReadError, Verdict

__all__ = ["Imported", "Note", "ReadError", "Verdict", "import_files"]
