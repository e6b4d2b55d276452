"""The `quorum` command."""
