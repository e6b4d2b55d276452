"""The policy's version: whatever changes a vote changes it."""

import importlib
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from quorum.core.models import Content
from quorum.core.normalise import normalise
from quorum.vote import cache, policy, reply, voter


@pytest.fixture(autouse=True)
def again() -> Iterator[None]:
    """The policy as it is written, after each test."""
    yield
    importlib.reload(policy)


PARTS = [
    policy.INSTRUCTIONS,
    policy.WRAPPER,
    policy.REPLY_SCHEMA,
    policy.MAX_OUTPUT_TOKENS,
    reply.PARSER_VERSION,
]


def test_the_version_is_of_everything_a_voter_is_sent_and_of_how_its_reply_is_read() -> None:
    assert policy.version_of(*PARTS) == policy.POLICY_VERSION


@pytest.mark.parametrize("part", range(len(PARTS)))
def test_a_change_of_any_part_changes_the_version(part: int) -> None:
    changed: list[Any] = [*PARTS]
    changed[part] = {**changed[part], "x": 1} if part == 2 else f"{changed[part]}."
    assert policy.version_of(*changed) != policy.POLICY_VERSION


def test_another_parser_version_is_another_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    before = policy.POLICY_VERSION
    monkeypatch.setattr(reply, "PARSER_VERSION", reply.PARSER_VERSION + 1)
    assert before != importlib.reload(policy).POLICY_VERSION


PARSER = 3, "1b792dbeacc9"
"""The parser's version and the digest of its source, as they were last looked at together."""


def test_the_parser_has_changed_only_with_a_thought_for_its_version() -> None:
    source = Path(str(reply.__file__)).read_text(encoding="utf-8")
    digest = sha256(source.encode()).hexdigest()[:12]
    assert (reply.PARSER_VERSION, digest) == PARSER, (
        "quorum/vote/reply.py is not what it was. If any reply may now be read otherwise, raise "
        "PARSER_VERSION: votes read by the old parser are then not reused. Then write both here."
    )


def test_a_vote_cast_under_another_policy_has_another_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    votes = cache.VoteCache(None, "Votes", shared=False, days=1)  # type: ignore[arg-type] # a key needs no table
    content = Content(text="a text")
    before = votes.key("acme", "gpt-4.1", content)
    monkeypatch.setattr(cache, "POLICY_VERSION", "another")
    assert votes.key("acme", "gpt-4.1", content) != before


def test_what_a_voter_is_sent_is_the_wrapper_filled_in() -> None:
    system, user = voter.messages(normalise("{boundary} and {text}"))
    assert system["content"] == policy.INSTRUCTIONS
    opening, text, closing, tricks = user["content"].split("\n")
    assert opening == closing
    assert text == '"{boundary} and {text}"'
    assert tricks == "Undone in it: nothing."


def test_a_reply_may_list_each_category_once_and_no_more() -> None:
    properties: Any = policy.REPLY_SCHEMA["properties"]
    listed = properties["categories"]
    assert listed["maxItems"] == len(listed["items"]["properties"]["name"]["enum"])
