"""Settings from the environment, and the container that opens every store and client once."""
