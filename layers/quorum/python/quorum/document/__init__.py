"""Documents: read, split, answered, merged, estimated."""
