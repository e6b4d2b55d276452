"""Items that come by the queue."""

from hashlib import sha256


def verdict_id_of(tenant: str, message_id: str) -> str:
    """The verdict's id for a message: the same however often the message is delivered."""
    return sha256(f"{tenant}#{message_id}".encode()).hexdigest()[:32]
