"""A cluster of kind, for people with Docker: three nodes and a registry on this machine."""
