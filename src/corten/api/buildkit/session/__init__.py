"""A client's session: the services of buildx that the engine calls for files, secrets, agents and credentials."""
