"""EntryPoint: the decision service behind Envoy's ext_authz."""
