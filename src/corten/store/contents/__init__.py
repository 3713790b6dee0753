"""What volumes hold: their first filling from an image."""
