"""Benchmarks, and the gateway stand-in they share with the tests and the local stack."""
