"""Archives that other tools wrote, recorded by `record`, and the round trip with the podman that is installed."""
