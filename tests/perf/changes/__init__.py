"""From a change to traffic, starts and memory."""
