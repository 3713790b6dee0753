"""The Dockerfile language: text to instructions. No I/O, no engine."""
