"""Images on their way between registries and the store: pull and push."""
