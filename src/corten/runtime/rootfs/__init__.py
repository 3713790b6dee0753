"""The container's file system, put together inside its new mount namespace."""
