"""A container's files from outside: copied in and out as tar streams, exported, compared with the image."""
