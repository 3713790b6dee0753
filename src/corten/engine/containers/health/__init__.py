"""Health checks: what a container's check says, when it is run, and what follows from its results."""
