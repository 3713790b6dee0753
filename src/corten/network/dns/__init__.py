"""The embedded name server: 127.0.0.11 in each container on a user network."""
