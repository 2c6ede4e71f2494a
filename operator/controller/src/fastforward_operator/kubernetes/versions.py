"""Which of two versions of an object is the newer one.

In: values of `metadata.resourceVersion`. Called by the informers and the writer of statuses. Those of one kind are
decimal numbers that grow (KEP-5504, "Comparable Resource Version"). Of others nothing is known but whether they differ.
"""

from __future__ import annotations


def is_newer(version: str, than: str) -> bool:
    """Whether a version is worth taking for news; anything is, where nothing is known yet."""
    if version.isdecimal() and than.isdecimal():
        return int(version) > int(than)
    return version != than
