"""The client of an OpenAI-compatible gateway: limits, circuit breakers, wire format."""
