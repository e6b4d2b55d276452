"""The policy's version: whatever changes a vote changes it."""

import importlib
import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from quorum.core import registry, unicode
from quorum.core.models import Content
from quorum.core.normalise import Normalised, normalise
from quorum.gateway import finish
from quorum.vote import cache, objects, policy, reply, voter


@pytest.fixture(autouse=True)
def again() -> Iterator[None]:
    """The policy as it is written, after each test."""
    yield
    importlib.reload(policy)


PARTS: dict[str, Any] = {
    "INSTRUCTIONS": f"{policy.INSTRUCTIONS}.",
    "WRAPPER": f"{policy.WRAPPER}.",
    "REPLY_SCHEMA": policy.REPLY_SCHEMA | {"x": 1},
    "MAX_OUTPUT_TOKENS": policy.MAX_OUTPUT_TOKENS + 1,
}
"""Everything that a voter is sent, each changed a little."""


def version() -> str:
    """The version of the policy as its module is now."""
    parts = policy.sent(), policy.REPLY_SCHEMA, policy.MAX_OUTPUT_TOKENS, reply.PARSER_VERSION
    return policy.version_of(*parts)


def test_the_version_is_of_everything_a_voter_is_sent_and_of_how_its_reply_is_read() -> None:
    assert version() == policy.POLICY_VERSION


@pytest.mark.parametrize("part", PARTS)
def test_a_change_of_any_part_changes_the_version(
    monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    monkeypatch.setattr(policy, part, PARTS[part])
    assert version() != policy.POLICY_VERSION


def test_how_a_content_is_written_into_the_prompt_is_part_of_the_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unescaped(content: Normalised, boundary: str) -> list[dict[str, str]]:
        system, user = written(content, boundary)
        return [system, user | {"content": user["content"].replace('\\"', '"')}]

    written = policy.prompt
    monkeypatch.setattr(policy, "prompt", unescaped)
    assert version() != policy.POLICY_VERSION


def test_a_prompt_without_the_tricks_undone_is_another_policy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(policy, "WRAPPER", policy.WRAPPER.replace("{tricks}", "nothing"))
    assert version() != policy.POLICY_VERSION


def test_another_parser_version_is_another_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    before = policy.POLICY_VERSION
    monkeypatch.setattr(reply, "PARSER_VERSION", reply.PARSER_VERSION + 1)
    assert before != importlib.reload(policy).POLICY_VERSION


READERS = (reply, objects, finish, unicode)
"""The modules that decide how a reply is read."""
ASIDE = {"quorum.core.errors", "quorum.core.models", "quorum.gateway.wire"}
"""What they import beside: names of errors, values and limits; the form of log-probabilities."""
PARSER = 3, "c54d2f437535"
"""The parser's version and the digest of its modules, as they were last looked at together."""


def source(module: ModuleType) -> str:
    return Path(str(module.__file__)).read_text(encoding="utf-8")


def test_the_parser_has_changed_only_with_a_thought_for_its_version() -> None:
    digest = sha256("".join(map(source, READERS)).encode()).hexdigest()[:12]
    assert (reply.PARSER_VERSION, digest) == PARSER, (
        "One of READERS is not what it was. If any reply may now be read otherwise, raise "
        "PARSER_VERSION in quorum/vote/reply.py: votes read by the old parser are then not reused. "
        f"Then write both here: {reply.PARSER_VERSION}, {digest!r}."
    )


@pytest.mark.parametrize("module", READERS, ids=lambda module: module.__name__)
def test_no_module_that_reads_replies_is_left_out_of_the_digest(module: ModuleType) -> None:
    imported = set(re.findall(r"^\s*from (quorum\.\S+) import", source(module), re.MULTILINE))
    assert imported <= ASIDE | {reader.__name__ for reader in READERS}


def test_a_vote_cast_under_another_policy_has_another_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    votes = cache.VoteCache(None, "Votes", shared=False, days=1)  # type: ignore[arg-type] # a key needs no table
    content = Content(text="a text")
    before = votes.key("acme", "gpt-4.1", content)
    monkeypatch.setattr(cache, "POLICY_VERSION", "another")
    assert votes.key("acme", "gpt-4.1", content) != before


@pytest.mark.parametrize(
    "change",
    [
        {"gateway_name": "gpt-4.1-2026"},
        {"reply_format": registry.ReplyFormat.INSTRUCTIONS},
        {"reasoning_off": {"reasoning": False}},
    ],
    ids=str,
)
def test_a_vote_that_was_asked_for_in_another_way_has_another_key(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    votes = cache.VoteCache(None, "Votes", shared=False, days=1)  # type: ignore[arg-type] # a key needs no table
    content = Content(text="a text")
    before = votes.key("acme", "gpt-4.1", content)
    changed = registry.model("gpt-4.1").model_copy(update=change)
    monkeypatch.setattr(registry, "model", lambda _name: changed)
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
