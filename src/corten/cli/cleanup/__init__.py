"""What Corten adds to Docker's clean-up: the trash, protection, garbage collection."""
