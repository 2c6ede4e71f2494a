"""Several operators side by side: each serves its own proxies, and tells the one that leads what they acknowledged.

`merged` puts together what this and other replicas say; `teller` tells the leader what is said here; `exchange` stands
between these and the xDS server.
"""

from .exchange import Exchange
from .merged import MergedLedger, Remote
from .teller import Teller

__all__ = ["Exchange", "MergedLedger", "Remote", "Teller"]
