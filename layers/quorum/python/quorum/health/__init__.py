"""Check-ups of the gateway."""
