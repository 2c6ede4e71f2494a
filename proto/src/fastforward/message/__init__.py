"""Generated wire types of messages and of what handles them."""
