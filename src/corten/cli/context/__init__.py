"""Commands about contexts: named engines."""
