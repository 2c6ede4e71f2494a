"""A small bookshop backend: the sample upstream behind the gateway. Run it with `python -m bookshop_app --help`."""
