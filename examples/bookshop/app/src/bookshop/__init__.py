"""Wire types of the bookshop: `bookshop.v1` is generated from the .proto beside it."""
