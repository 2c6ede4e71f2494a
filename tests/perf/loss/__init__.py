"""Whether changes lose requests."""
