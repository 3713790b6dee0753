"""Commands about registries: logging in, searching."""
