"""Models asked for answers rather than votes: cached, booked, in the form of the OpenAI API."""
