"""What was removed and can be had back: volumes by one rename, images with their names and layers."""
