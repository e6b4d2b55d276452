"""Documents: reading, splitting, answering, merging and estimating them."""
