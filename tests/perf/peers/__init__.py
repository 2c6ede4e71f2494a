"""Gateways side by side: the same routes, the same Envoy, one control plane after the other."""
