"""From a content to its verdict: who is asked, what they say, what it comes to."""
