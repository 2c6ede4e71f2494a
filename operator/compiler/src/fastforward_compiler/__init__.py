"""Pure compiler: resources to intermediate representation to Envoy and decision configuration."""
