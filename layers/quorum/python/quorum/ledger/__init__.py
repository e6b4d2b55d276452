"""Exact money: booked calls, calls that may have been paid, and budgets."""
