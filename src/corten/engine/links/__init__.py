"""`--link` on the default bridge: a container knows another by an alias."""
