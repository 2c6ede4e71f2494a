"""Whether statuses are true."""
