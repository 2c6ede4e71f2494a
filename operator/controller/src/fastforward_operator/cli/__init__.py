"""The command `ff`."""
