"""Generated wire types of the decision snapshot."""
