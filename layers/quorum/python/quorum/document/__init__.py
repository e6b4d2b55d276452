"""Documents: read, cut, asked about, put together, estimated."""
