"""Judging many contents: intake, queue, bulk runs over uploads."""
