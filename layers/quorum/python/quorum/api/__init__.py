"""The HTTP form of requests, answers and errors."""
