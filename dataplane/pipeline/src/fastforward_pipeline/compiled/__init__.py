"""The snapshot's resources in the form in which requests are judged: parsed, indexed, programs compiled once."""
