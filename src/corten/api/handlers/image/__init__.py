"""The calls on images: the store, archives, signatures, registries."""
