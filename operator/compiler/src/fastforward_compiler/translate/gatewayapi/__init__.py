"""Gateway API to the same IR as our own kinds: a Gateway is an Edge whose ports have hosts of their own."""
