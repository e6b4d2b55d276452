"""From one content to its verdict: panels, voters, replies, the tally, reviews."""
