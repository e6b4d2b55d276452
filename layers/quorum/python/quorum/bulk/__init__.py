"""Many contents to many verdicts: intake, queue, bulk runs over uploads."""
