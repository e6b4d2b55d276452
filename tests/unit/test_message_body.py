"""A message on the queue holds every content that the API takes."""

import re

from hypothesis import example, given
from hypothesis import strategies as st
from quorum.batch.queue import message_body
from quorum.bulk.requests import QueuedItem

REFUSED = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""The characters for which SQS refuses a request, by its documentation of SendMessage."""


@given(st.text(min_size=1))
@example("nul \x00, \ufffe and \uffff")
def test_a_body_has_only_characters_that_sqs_takes_and_is_read_as_it_was(text: str) -> None:
    item = QueuedItem(tenant="acme", content=f"a{text}")
    body = message_body(item)
    assert REFUSED.search(body) is None
    assert QueuedItem.model_validate_json(body) == item
