"""Gateway API's own conformance suite against a real cluster, the operator and one Envoy."""
