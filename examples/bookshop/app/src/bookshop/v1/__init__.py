"""Version 1 of the bookshop's gRPC API: catalog.proto and the code generated from it."""
