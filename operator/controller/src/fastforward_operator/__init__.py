"""Operator: providers, xDS server, status, and the `ff` command."""
