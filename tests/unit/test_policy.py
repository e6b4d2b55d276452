"""The policy's version: whatever changes a vote changes it."""

import importlib
import re
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import ValidationError
from quorum.core import registry, unicode
from quorum.core.models import Category, Content
from quorum.core.normalise import Normalised, normalise
from quorum.core.rejection import rejection
from quorum.gateway import finish
from quorum.vote import objects, policy, reply, voter

from tests import make


@pytest.fixture(autouse=True)
def again() -> Iterator[None]:
    """The policy as it is written, after each test."""
    yield
    importlib.reload(policy)


PARTS: dict[str, Any] = {
    "INTRODUCTION": f"{policy.INTRODUCTION}.",
    "ANSWER": f"{policy.ANSWER}.",
    "WRAPPER": f"{policy.WRAPPER}.",
    "MAX_OUTPUT_TOKENS": policy.MAX_OUTPUT_TOKENS + 1,
    "PUBLISHED_CATEGORIES": {"all": tuple(Category)},
}
"""Everything that every voter is sent, each changed a little."""

WHAT_WAS_SENT = "b84950d61e9f"
"""The digest of what voters were sent, and of how replies were read, while it was a constant."""


def version(**document: Any) -> str:
    """The version of a policy of that document, as the module is now."""
    return policy.Policy.model_validate({"name": "x"} | document).version


def test_the_packaged_policy_is_word_for_word_what_voters_were_sent_before() -> None:
    assert (policy.DEFAULT.version, policy.DEFAULT.asked_version) == (WHAT_WAS_SENT, WHAT_WAS_SENT)


def test_voters_are_told_of_every_category_once() -> None:
    told = [category for finer in policy.PUBLISHED_CATEGORIES.values() for category in finer]
    assert sorted(told) == sorted(Category)


@pytest.mark.parametrize("part", PARTS)
def test_a_change_of_any_part_changes_the_version(
    monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    monkeypatch.setattr(policy, part, PARTS[part])
    assert version() != WHAT_WAS_SENT


DOCUMENTS: list[dict[str, Any]] = [
    {"instructions": "Players may curse."},
    {"categories": {"hate": {"enabled": False}}},
    {"categories": {"hate": {"definition": "hate of a group"}}},
    {"categories": {"hate": {"examples": ["go home"]}}},
    {"categories": {"hate": {"counterexamples": ["go home"]}}},
    {"categories": {"gambling_ads": {"definition": "advertisements for gambling"}}},
]
COUNTED: list[dict[str, Any]] = [
    {"categories": {"hate": {"threshold": 0.7}}},
    {"categories": {"hate": {"threshold": 0.0}}},
    {"categories": {"hate": {"action": "ignore"}}},
]


@pytest.mark.parametrize("document", [*DOCUMENTS, *COUNTED], ids=str)
def test_a_policy_that_says_something_of_its_own_has_a_version_of_its_own(
    document: dict[str, Any],
) -> None:
    versions = [version(), *(version(**each) for each in (*DOCUMENTS, *COUNTED))]
    assert versions.count(version(**document)) == 1


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_votes_are_not_shared_by_policies_that_ask_otherwise(document: dict[str, Any]) -> None:
    asked = policy.Policy.model_validate({"name": "x"} | document).asked_version
    assert asked != policy.DEFAULT.asked_version


@pytest.mark.parametrize("document", COUNTED, ids=str)
def test_votes_are_shared_by_policies_that_only_count_otherwise(document: dict[str, Any]) -> None:
    asked = policy.Policy.model_validate({"name": "x"} | document).asked_version
    assert asked == policy.DEFAULT.asked_version


def test_how_a_content_is_written_into_the_prompt_is_part_of_the_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unescaped(
        self: policy.PolicyDocument, content: Normalised, boundary: str
    ) -> list[dict[str, str]]:
        system, user = written(self, content, boundary)
        return [system, user | {"content": user["content"].replace('\\"', '"')}]

    written = policy.PolicyDocument.prompt
    monkeypatch.setattr(policy.PolicyDocument, "prompt", unescaped)
    assert version() != WHAT_WAS_SENT


def test_a_prompt_without_the_tricks_undone_is_another_policy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(policy, "WRAPPER", policy.WRAPPER.replace("{tricks}", "nothing"))
    assert version() != WHAT_WAS_SENT


def test_voters_are_told_the_platforms_rules_and_its_categories_in_its_own_words() -> None:
    told = policy.Policy.model_validate(
        {
            "name": "gaming",
            "instructions": "Players may curse.",
            "categories": {
                "gambling_ads": {
                    "definition": "advertisements for gambling",
                    "examples": ["Win big at Lucky7!"],
                    "counterexamples": ['my "lucky" dice'],
                },
                "violence/graphic": {"enabled": False},
            },
        }
    ).told
    assert told.startswith(policy.INTRODUCTION)
    assert told.endswith(policy.ANSWER)
    assert (
        """
- violence or gore: violence
"""
        in told
    )
    assert (
        """
- this platform's own: gambling_ads
gambling_ads: advertisements for gambling
gambling_ads, for example: "Win big at Lucky7!"
gambling_ads, but not: "my \\"lucky\\" dice"
Players may curse.
"""
        in told
    )


BAD: list[tuple[dict[str, Any], str, object]] = [
    ({"instructions": "x" * 8001}, "instructions", 8000),
    ({"instructions": " "}, "instructions", None),
    ({"categories": {"Gambling": {"definition": "x"}}}, "categories.Gambling", None),
    ({"categories": {"gambling": {}}}, "categories.gambling.definition", None),
    ({"categories": {"hate": {"threshold": 1.1}}}, "categories.hate.threshold", 1.0),
    ({"categories": {"hate": {"action": "shout"}}}, "categories.hate.action", None),
    ({"categories": {"hate": {"examples": ["x"] * 11}}}, "categories.hate.examples", 10),
    ({"categories": {"hate": {"examples": ["x" * 301]}}}, "categories.hate.examples.0", 300),
    ({"categories": {"self_harm": {"definition": "x"}}}, "categories", None),
    ({"categories": {"harassment-": {"definition": "x"}}}, "categories.harassment-", None),
    ({"categories": {"gambling_": {"definition": "x"}}}, "categories.gambling_", None),
    ({"categories": {"gambling/": {"definition": "x"}}}, "categories.gambling/", None),
    ({"categories": {"harassment_": {"enabled": False}}}, "categories.harassment_", None),
    (
        {"categories": {"gambling": {"definition": "\u200b \u200b"}}},
        "categories.gambling.definition",
        None,
    ),
    ({"categories": {f"own{n}": {"definition": "x"} for n in range(33)}}, "categories", 32),
    ({"categories": {str(name): {"enabled": False} for name in Category}}, "categories", None),
    (
        {
            "categories": {
                str(name): {"definition": "x" * 1000, "examples": ["y" * 300] * 10}
                for name in Category
            }
        },
        "instructions",
        32_000,
    ),
    ({"owner": "x"}, "owner", None),
]


@pytest.mark.parametrize(
    ("document", "field", "limit"), BAD, ids=[f"{n} {bad[1]}" for n, bad in enumerate(BAD)]
)
def test_a_bad_policy_is_refused_with_field_and_limit(
    document: dict[str, Any], field: str, limit: object
) -> None:
    with pytest.raises(ValidationError) as refused:
        policy.Policy.model_validate({"name": "x"} | document)
    found = rejection(refused.value)
    assert found.field == field
    if limit is not None:
        assert found.limit == limit


def test_another_parser_version_is_another_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    before = policy.DEFAULT.version
    monkeypatch.setattr(reply, "PARSER_VERSION", reply.PARSER_VERSION + 1)
    assert before != importlib.reload(policy).DEFAULT.version


READERS = (reply, objects, finish, unicode)
"""The modules that decide how a reply is read."""
NOT_READERS = {"quorum.core.errors", "quorum.core.models", "quorum.gateway.wire"}
"""Other modules they import: names of errors, values and limits; the form of log-probabilities."""
PARSER = 3, "8dce9b7f225a"
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
    assert imported <= NOT_READERS | {reader.__name__ for reader in READERS}


def test_a_vote_cast_under_another_policy_has_another_key() -> None:
    votes = make.vote_keys()
    content = Content(text="a text")
    keys = {
        votes.key(
            "acme", "gpt-4.1", content, policy.Policy.model_validate({"name": "x"} | document)
        )
        for document in ({}, *DOCUMENTS, *COUNTED)
    }
    assert len(keys) == 1 + len(DOCUMENTS)


@pytest.mark.parametrize(
    "change",
    [
        {"gateway_name": "gpt-4.1-2026"},
        {"reply_format": registry.ReplyFormat.INSTRUCTIONS},
        {"reasoning_off": {"reasoning": False}},
    ],
    ids=str,
)
def test_a_vote_that_was_asked_for_in_another_way_has_another_key(change: dict[str, Any]) -> None:
    changed = registry.model("gpt-4.1").model_copy(update=change)
    content = Content(text="a text")

    def key(model_of: Callable[[str], registry.Model]) -> str:
        return make.vote_keys(model_of=model_of).key("acme", "gpt-4.1", content, policy.DEFAULT)

    assert key(lambda _name: changed) != key(registry.model)


def test_what_a_voter_is_sent_is_the_wrapper_filled_in() -> None:
    system, user = voter.messages(normalise("{boundary} and {text}"))
    assert system["content"] == policy.DEFAULT.told
    opening, text, closing, tricks = user["content"].split("\n")
    assert opening == closing
    assert text == '"{boundary} and {text}"'
    assert tricks == "Undone in it: nothing."


def test_a_reply_may_list_each_category_once_and_no_more() -> None:
    properties: Any = policy.DEFAULT.reply_schema["properties"]
    listed = properties["categories"]
    assert listed["maxItems"] == len(listed["items"]["properties"]["name"]["enum"])
