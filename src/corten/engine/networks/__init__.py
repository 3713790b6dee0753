"""Networks: what they are, who is on them, and what the kernel does for them."""
