"""Exact money: every call that was paid for, what may still be owed, what may be spent."""
