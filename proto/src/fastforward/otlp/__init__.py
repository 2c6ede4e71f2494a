"""Generated wire types by which spans are told to collectors."""
