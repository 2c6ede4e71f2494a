"""What is generated from the models: CRDs for the API server and reference pages for people."""

NOTICE = "Made from the models by `make generate`: change those, not this file."
"""Stands in every generated file."""
