"""Context sources: a tar, a multipart request, local directories read in place, a URL."""
