"""What happens inside the new process, between its fork and the exec of the user's program."""
