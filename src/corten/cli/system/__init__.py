"""Commands about the engine as a whole."""
