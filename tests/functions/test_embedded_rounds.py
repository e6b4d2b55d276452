"""A list before a panel of embedded voters: each is called once, without the vote machine."""

import io
import json
from collections import Counter
from threading import Lock
from time import time
from typing import Any

import pytest
from quorum.app.api import ApiContainer
from quorum.vote import embedded_rounds

from functions.api import app as api
from functions.vote_embedded import app as voters
from tests.functions.conftest import Ask
from tests.make import evaluation as opened

ROUTE = "post_moderation.json"
HANDLERS: dict[str, Any] = {
    "RulesFunction:live": voters.rules,
    "CharactersFunction:live": voters.characters,
    "MeaningFunction:live": voters.meaning,
}
INSULT = "You are a worthless idiot and everybody here hates you."
KIND = "Thanks for the recipe, my kids loved it."


class Functions:
    """Lambda, of which the embedded voters run in this process; those in `broken` fail."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self.calls: Counter[str] = Counter()
        self.broken: set[str] = set()
        self._one_at_a_time = Lock()  # here they share a process

    def invoke(self, **given: Any) -> dict[str, Any]:
        name = given["FunctionName"]
        self.calls[name] += 1
        event = json.loads(given["Payload"])
        if name in self.broken:
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(b"{}")}
        with self._one_at_a_time:
            answer = json.dumps(HANDLERS[name](event, self._context))
        return {"Payload": io.BytesIO(answer.encode())}


@pytest.fixture
def functions(context: Any, monkeypatch: pytest.MonkeyPatch) -> Functions:
    """The voters' functions. The vote machine of `ask` fails."""
    voters.app.cache_clear()
    found = Functions(context)
    monkeypatch.setattr(ApiContainer, "embedded_voters", found)
    return found


def moderate(ask: Ask, texts: list[str], **how: Any) -> list[Any]:
    status, answer = ask({"input": texts, "model": "embedded"}, name=ROUTE, **how)
    assert status == 200, answer
    return [result["quorum"] for result in answer["results"]]


def test_a_list_is_judged_by_one_call_of_each_voter_and_its_verdicts_are_stored(
    ask: Ask, functions: Functions, aws: Any
) -> None:
    found = moderate(ask, [KIND, INSULT, "See you at the game tomorrow!", KIND])
    assert [one["decision"] for one in found] == ["safe", "unsafe", "safe", "safe"]
    assert functions.calls == dict.fromkeys(HANDLERS, 1)
    path = f"/verdicts/{found[1]['verdict_id']}"
    status, verdict = ask(name="get_verdict.json", path=path)
    assert (status, verdict["decision"], verdict["rounds"], verdict["calls"]) == (
        *(200, "unsafe", 1, 3),
    )
    assert {vote["voter"] for vote in verdict["votes"]} == {"rules", "characters", "meaning"}
    assert aws.Table("VotesTable").scan()["Count"] == 9  # two of the four texts are the same


def test_the_votes_are_those_that_the_voters_give_one_by_one(
    ask: Ask, functions: Functions, context: Any
) -> None:
    listed, _ = moderate(ask, [INSULT, KIND], tenant="listed")
    path = f"/verdicts/{listed['verdict_id']}"
    _, verdict = ask(name="get_verdict.json", path=path, tenant="listed")
    content = {"text": INSULT, "language": verdict["language"]}
    alone = opened(INSULT, "embedded", content=content, verdict_id="1" * 32)
    event = {"evaluation": alone.model_dump(mode="json")}
    took = {"latency_ms": 0}
    asked = [handler(event, context) | took for handler in HANDLERS.values()]
    assert [vote | took for vote in verdict["votes"]] == asked
    assert functions.calls == dict.fromkeys(HANDLERS, 1)


def test_of_a_list_that_takes_too_long_what_was_voted_on_is_judged_and_the_rest_is_left(
    ask: Ask, functions: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_rounds, "CALL_TEXTS", 1)
    monkeypatch.setattr(embedded_rounds, "CONNECTIONS", 1)

    def clock() -> float:  # the second text is asked of one voter of three
        return time() + (60 if functions.calls.total() > len(HANDLERS) else 0)

    monkeypatch.setattr(api.app().embedded_rounds, "_clock", clock)
    found = moderate(ask, [INSULT, KIND])
    assert functions.calls.total() == len(HANDLERS) + 1
    assert [one["decision"] for one in found] == ["unsafe", "needs_review"]
    assert "the vote machine ended" in found[1]["reason"]


def test_texts_that_were_judged_before_are_answered_from_the_cache_and_one_alone_by_the_machine(
    ask: Ask, functions: Functions
) -> None:
    moderate(ask, [KIND, INSULT])
    functions.calls.clear()
    again = moderate(ask, [INSULT, KIND])
    assert [one["decision"] for one in again] == ["unsafe", "safe"]
    assert not functions.calls
    (alone,) = moderate(ask, ["a text of its own"])
    assert "vote machine ended as FAILED" in alone["reason"]
    assert not functions.calls


def test_a_list_that_a_voter_does_not_answer_is_left_to_the_machine(
    ask: Ask, functions: Functions
) -> None:
    functions.broken.add("MeaningFunction:live")
    found = moderate(ask, [KIND, INSULT])
    assert [one["decision"] for one in found] == ["needs_review"] * 2
    assert "vote machine ended as FAILED" in found[0]["reason"]


def test_a_call_has_as_many_texts_and_characters_as_a_voter_reads_in_time(
    ask: Ask, functions: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_rounds, "CALL_TEXTS", 2)
    monkeypatch.setattr(embedded_rounds, "CALL_CHARACTERS", 100)
    texts = ["one", "two", "three", "a long text " * 12, "four"]
    found = moderate(ask, texts)
    assert len(found) == 5
    assert functions.calls == dict.fromkeys(HANDLERS, 4)


def test_hostile_texts_reach_the_voters_as_they_are(ask: Ask, functions: Functions) -> None:
    texts = ["\x00\x01a", "\u202e" + INSULT, "🤡" * 40, '"}]}', "ⓘⓓⓘⓞⓣ"]
    assert len(moderate(ask, texts)) == 5
    assert set(functions.calls) == set(HANDLERS)
