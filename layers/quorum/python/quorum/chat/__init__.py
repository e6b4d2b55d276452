"""Chat over a WebSocket, streamed token by token."""
