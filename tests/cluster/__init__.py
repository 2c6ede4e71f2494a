"""Tests against a real API server, and against a whole cluster with a node."""
