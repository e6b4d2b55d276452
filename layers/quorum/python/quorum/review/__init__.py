"""What people decide: the queue of what waits, claims, appeals, and what is said of decisions."""
