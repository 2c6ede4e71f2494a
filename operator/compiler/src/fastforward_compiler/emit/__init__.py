"""Intermediate representation to the configuration of each target."""
