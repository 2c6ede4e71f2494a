"""Messages through all stages: what proxied requests don't need, and everything else does."""
