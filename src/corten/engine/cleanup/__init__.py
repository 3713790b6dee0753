"""What goes and what stays: prune, the trash, protection, and clean-up by itself when the disk fills."""
