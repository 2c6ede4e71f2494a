"""Resources to intermediate representation."""
