"""Intents: records of the highest possible cost of a call, written before it is sent.

The ledger's transaction deletes an intent when the call is booked. An intent that is left over
belongs to a Lambda that crashed, and is closed as possibly paid (`quorum.ledger.costs`). Pure.
"""

from decimal import Decimal

PICODOLLARS = Decimal(10) ** 12
"""Picodollars in a dollar. An intent's cost is a whole number of them for any price of up to six
decimals per million tokens."""
INTENT_SHARDS = 16
"""Shards of the index `entries` over which open intents are spread, so that no key is hot."""


def intent_shard(number: int) -> str:
    """The index shard of that number, from 0."""
    return f"intents#{number:x}"
