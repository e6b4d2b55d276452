"""Judging one content: panels, voters, replies, the tally, verdicts, reviews."""
