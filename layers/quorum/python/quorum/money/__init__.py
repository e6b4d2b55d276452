"""What was spent, on what, and what may be."""
