"""What tests of failures are made of: a road to the API server that can be disturbed, programs that can be killed."""
