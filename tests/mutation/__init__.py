"""Mutation testing of the pure packages: small defects are planted one at a time, and the tests must notice.

In: the sources, the tests of the pure packages, a size and a seed of a sample. Out: a score for each package and every
mutant that survived. Called by `make mutation`; docs/adr tells why it is our own.
"""
