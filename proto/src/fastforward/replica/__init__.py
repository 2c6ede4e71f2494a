"""Generated wire types by which replicas of the operator tell each other what proxies acknowledged."""
