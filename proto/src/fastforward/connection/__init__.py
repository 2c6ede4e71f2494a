"""Generated wire types of connections that clients hold open."""
