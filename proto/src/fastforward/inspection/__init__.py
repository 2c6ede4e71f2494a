"""Generated wire types by which nodes are asked what they have seen."""
