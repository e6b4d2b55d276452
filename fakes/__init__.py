"""Stand-ins for the gateway and the vote machine, shared by tests, demo and benchmarks."""
