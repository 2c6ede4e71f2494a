"""What requests and decisions cost."""
