"""`build` against Corten itself: what is sent beside the context, progress as BuildKit's users know it, results elsewhere."""
