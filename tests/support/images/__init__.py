"""The images of what is deployed, made from the Dockerfiles without an engine and without a registry.

`python -m support.images` makes archives; `support.cluster.images` knows what an archive is.
"""
