"""The local stack: the deployed template on one machine, without Docker."""
