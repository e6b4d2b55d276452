"""Answers over a WebSocket, as they are made."""
