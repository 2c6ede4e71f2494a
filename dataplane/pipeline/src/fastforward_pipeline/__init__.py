"""Pure evaluator of the eight stages over the wire snapshot."""
