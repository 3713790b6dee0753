"""`prune` of each kind of object. A dry run chooses and measures in the same way, and stops there."""
