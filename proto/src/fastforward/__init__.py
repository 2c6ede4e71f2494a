"""Generated wire types that the operator and the data plane share."""
