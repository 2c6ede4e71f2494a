"""Generated wire types of what replicas of the operator tell each other."""
