"""Models asked for answers rather than votes: kept, booked, in the form of the OpenAI API."""
