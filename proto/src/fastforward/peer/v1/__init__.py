"""Generated wire types of what processes of EntryPoint tell each other."""
