"""Whatever fails, no request on an existing route does, and the end is the same as if nothing had."""
