"""Files on their way into an image: trees that are read, repositories that are fetched, copies with owners and modes."""
