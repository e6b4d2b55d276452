"""Batches of any kind: their records, counters, queues and alerts."""
