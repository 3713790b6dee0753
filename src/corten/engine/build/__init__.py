"""Builds as users ask for them: contexts, base images, RUN steps as processes, results as images."""
