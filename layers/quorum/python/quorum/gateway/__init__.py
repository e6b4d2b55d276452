"""The one way to a model: the client, its limits, its circuits, its wire format."""
