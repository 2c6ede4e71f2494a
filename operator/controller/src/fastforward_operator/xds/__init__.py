"""Configuration on its way to the proxies and decision services, and their acknowledgements on the way back.

In: Publications (what changed, as serialised resources). Out: delta xDS and snapshot streams, ordered and bounded, and
the ledger's account of who acknowledged what. Called by bootstrap. Everything here lives in one thread of its own with
one event loop, so that neither a large compile nor ten thousand events of a provider delay an acknowledgement.

Read in this order: store (what is to be known), channel (what one node knows of one type), session (in which order one
node is told), ledger (who acknowledged), publisher (the whole), server (the sockets).
"""
