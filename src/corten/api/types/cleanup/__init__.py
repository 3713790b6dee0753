"""Bodies and answers of clean-up."""
