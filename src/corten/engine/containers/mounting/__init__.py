"""Mount points that take more than a path: borrowed from other containers, images, parts of volumes."""
