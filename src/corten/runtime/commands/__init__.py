"""The subcommands of `corten-runtime`: thin, all work is in the library."""
