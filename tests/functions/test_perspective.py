"""The routes of the Perspective API on moto: form, attributes, spans, storage, keys and errors."""

import base64
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from quorum.app.api import ApiContainer
from quorum.core.abstentions import AbstentionReason
from quorum.core.models import Abstention, CastVote, Content
from quorum.vote.evaluation import Evaluation
from quorum.vote.voter import PaidVote
from quorum.vote.voting import vote

from fakes.machine import InProcessMachine
from functions.api import app as api
from tests import make
from tests.functions.conftest import Ask
from tests.world import booked, serial

ROUTE = "analyze_comment.json"
SUGGEST = "suggest_comment_score.json"
PRICE = Decimal("0.002")
Voters = dict[str, CastVote | Abstention]


@pytest.fixture
def voters(ask: Ask, aws: Any, monkeypatch: pytest.MonkeyPatch) -> Voters:
    """What voters say, by voter or `voter text`; the machine runs in this process.

    A voter that says nothing abstains: it knows nothing in the language.
    """
    says: Voters = {}
    api.app().dynamodb = serial(aws)

    def asked(evaluation: Evaluation, voter: str) -> CastVote | Abstention:
        container = api.app()
        said = says.get(f"{voter} {evaluation.content.text}") or says.get(voter)
        answer = said or make.abstention(voter, AbstentionReason.LANGUAGE_UNKNOWN)
        paid = PaidVote(answer.model_copy(update={"voter": voter}))
        if answer.cost_usd:
            reserved = container.limiter.reserve(
                voter, 460, tenant=evaluation.tenant, cost_usd=answer.cost_usd
            )
            paid = PaidVote(paid.vote, reserved)
        policy = container.policy_versions.of(evaluation.tenant, evaluation.policy)
        return vote(evaluation, policy, voter, container.vote_store, lambda: paid)

    def machine(_container: ApiContainer) -> InProcessMachine:
        container = api.app()
        return InProcessMachine(asked, container.verdicts, container.policy_versions)

    monkeypatch.setattr(ApiContainer, "step_functions", property(machine))
    return says


def toxic(value: float = 0.9, **scores: float) -> CastVote:
    """A vote of an embedded voter for unsafe, with scores of attributes."""
    scored = {"toxicity": value, **scores}
    return make.cast("meaning", confidence=0.98, cost_usd=0, attribute_scores=scored)


def analyze(
    ask: Ask,
    text: str = "You are an idiot.",
    *attributes: str,
    panel: str = "embedded",
    **more: Any,
) -> tuple[int, Any]:
    wanted: dict[str, Any] = {name: {} for name in attributes or ("TOXICITY",)}
    body = {"comment": {"text": text}, "requestedAttributes": wanted, "languages": ["en"]} | more
    return ask(body, name=ROUTE, queryStringParameters={"panel": panel, "key": "qk_1"})


def kept(aws: Any) -> list[Any]:
    """All that the tables of votes, verdicts and answers hold, but for panels and policies."""
    return [
        item
        for table in ("VotesTable", "VerdictsTable", "AnswersTable", "ConversationsTable")
        for item in aws.Table(table).scan()["Items"]
        if "document" not in item
    ]


def test_attributes_are_scored_in_perspectives_form(ask: Ask, voters: Voters) -> None:
    voters["meaning"] = toxic(0.9, insult=0.75)
    voters["characters"] = toxic(0.7)
    status, answer = analyze(
        ask, "You 👍 idiot", "TOXICITY", "INSULT_EXPERIMENTAL", clientToken="mine", sessionId="s"
    )
    assert status == 200
    quorum = answer.pop("quorum")
    assert answer == {
        "attributeScores": {
            "TOXICITY": {
                "summaryScore": {"value": pytest.approx(0.8), "type": "PROBABILITY"},
                "spanScores": [
                    {
                        "begin": 0,
                        "end": 12,
                        "score": {"value": pytest.approx(0.8), "type": "PROBABILITY"},
                    }
                ],
            },
            "INSULT_EXPERIMENTAL": {
                "summaryScore": {"value": 0.75, "type": "PROBABILITY"},
                "spanScores": [
                    {"begin": 0, "end": 12, "score": {"value": 0.75, "type": "PROBABILITY"}}
                ],
            },
        },
        "languages": ["en"],
        "detectedLanguages": answer["detectedLanguages"],
        "clientToken": "mine",
    }
    assert quorum["decision"] == "unsafe"
    assert quorum["panel"] == "embedded"
    path = f"/verdicts/{quorum['verdict_id']}"
    status, verdict = ask(name="get_verdict.json", path=path)
    assert (status, verdict["reason"]) == (200, quorum["reason"])


@pytest.mark.parametrize("spelled", ["camelCase", "snake_case"])
def test_names_may_be_spelled_either_way_and_null_is_not_given(
    ask: Ask, voters: Voters, spelled: str
) -> None:
    voters["meaning"] = toxic(0.9, threat=0.2)
    body = {
        "comment": {"text": "You are an idiot.", "type": None},
        "requestedAttributes": {
            "TOXICITY": None,
            "THREAT": {"scoreType": "PROBABILITY", "scoreThreshold": 0.3},
        },
        "languages": None,
        "doNotStore": None,
        "spanAnnotations": False,
        "context": {"articleAndParentComment": {"article": {"text": "x", "type": "HTML"}}},
        "clientToken": None,
        "sessionId": "x",
        "communityId": "y",
        "dropUnsupportedAttributes": False,
    }
    sent = json.dumps(body)
    if spelled == "snake_case":
        for name, snake in {
            "requestedAttributes": "requested_attributes",
            "scoreThreshold": "score_threshold",
            "scoreType": "score_type",
            "doNotStore": "do_not_store",
            "spanAnnotations": "span_annotations",
            "articleAndParentComment": "article_and_parent_comment",
            "communityId": "community_id",
            "dropUnsupportedAttributes": "drop_unsupported_attributes",
        }.items():
            sent = sent.replace(name, snake)
    query = {
        "panel": "embedded",
        "alt": "json",
        "prettyPrint": "false",
        "fields": "*",
        "$.xgafv": "2",
    }
    status, answer = ask(raw=sent, name=ROUTE, queryStringParameters=query)
    assert status == 200, answer
    assert answer["attributeScores"].keys() == {"TOXICITY"}
    assert answer["languages"] == answer["detectedLanguages"] == ["en"]
    assert "clientToken" not in answer


def test_a_score_below_its_threshold_is_left_out_and_one_at_it_is_not(
    ask: Ask, voters: Voters
) -> None:
    voters["meaning"] = toxic(0.5, insult=0.5)
    wanted = {"TOXICITY": {"scoreThreshold": 0.5}, "INSULT": {"scoreThreshold": 0.51}}
    _, answer = analyze(ask, requestedAttributes=wanted)
    assert answer["attributeScores"].keys() == {"TOXICITY"}


def test_each_sentence_is_judged_alone_and_only_the_whole_is_stored(
    ask: Ask, voters: Voters, aws: Any
) -> None:
    text = "Thanks 👍. You idiot! Bye."
    voters[f"meaning {text}"] = toxic(0.6)
    voters["meaning Thanks 👍."] = make.cast("meaning", "safe", attribute_scores={"toxicity": 0.1})
    voters["meaning You idiot!"] = toxic(0.95)
    _, answer = analyze(ask, text, spanAnnotations=True)
    scores = answer["attributeScores"]["TOXICITY"]
    assert scores["summaryScore"]["value"] == 0.6
    assert [(one["begin"], one["end"], one["score"]["value"]) for one in scores["spanScores"]] == [
        *((0, 10, 0.1), (11, 21, 0.95)),
    ]
    assert sum("verdict" in item for item in kept(aws)) == 1


def test_a_sentence_whose_voters_failed_is_not_left_out_of_the_answer(
    ask: Ask, voters: Voters
) -> None:
    voters["meaning"] = toxic()
    voters["meaning Thanks."] = make.abstention("meaning", "timed_out")
    status, answer = analyze(ask, "Thanks. You idiot!", spanAnnotations=True)
    assert (status, answer["error"]["status"]) == (503, "UNAVAILABLE")
    voters["meaning Thanks."] = make.abstention("meaning", "language_unknown")
    status, answer = analyze(ask, "Thanks. You idiot!", spanAnnotations=True)
    (only,) = answer["attributeScores"]["TOXICITY"]["spanScores"]
    assert (status, only["begin"]) == (200, 8)


def test_nothing_of_a_comment_that_must_not_be_stored_is_kept_and_its_cost_is_booked(
    ask: Ask, voters: Voters, aws: Any
) -> None:
    said = make.cast("x", "unsafe", cost_usd=PRICE, scores={"harassment": 0.9}, reason="an idiot")
    voters |= dict.fromkeys(("gemini-2.5-flash", "deepseek-v3.2"), said)
    text = "You are an idiot. Go away!"
    status, answer = analyze(ask, text, panel="default", doNotStore=True, spanAnnotations=True)
    assert status == 200, answer
    assert "verdict_id" not in answer["quorum"]
    assert answer["quorum"]["cost_usd"] == "0.012"
    assert kept(aws) == []
    assert booked(aws) == Decimal("0.012")
    assert "idiot" not in str([aws.Table("UsageTable").scan()["Items"]])


def test_a_comment_that_nobody_could_judge_is_not_stored_either(ask: Ask, aws: Any) -> None:
    status, answer = analyze(ask, doNotStore=True)  # the machine fails
    assert (status, answer["error"]["status"]) == (503, "UNAVAILABLE")
    assert kept(aws) == []


def test_a_person_decides_and_voters_still_give_the_scores(
    ask: Ask, voters: Voters, aws: Any
) -> None:
    voters["meaning"] = make.cast("meaning", "unsafe", attribute_scores={"toxicity": 0.7})
    voters["rules"] = voters["characters"] = make.abstention("x", "unlike_training")
    _, first = analyze(ask)
    assert first["quorum"]["decision"] == "needs_review"
    review = {"decision": "safe", "reviewer": "ada@example.com"}
    path = f"/verdicts/{first['quorum']['verdict_id']}/review"
    assert ask(review, name="post_review.json", path=path)[0] == 200
    _, second = analyze(ask)
    assert second["quorum"]["decision"] == "safe"
    assert second["attributeScores"] == first["attributeScores"]


def test_language_models_give_what_their_categories_mean(ask: Ask, voters: Voters) -> None:
    said = make.cast("x", "unsafe", confidence=0.9, scores={"hate": 0.8}, cost_usd=0)
    voters |= dict.fromkeys(("gemini-2.5-flash", "deepseek-v3.2"), said)
    _, answer = analyze(ask, "x y z", "TOXICITY", "IDENTITY_ATTACK", "THREAT", panel="default")
    found = {
        name: scores["summaryScore"]["value"] for name, scores in answer["attributeScores"].items()
    }
    assert found == {"TOXICITY": pytest.approx(0.9), "IDENTITY_ATTACK": 0.8, "THREAT": 0.0}
    status, refused = analyze(ask, "x y z", "PROFANITY", panel="default")
    assert (status, error_type(refused)) == (400, "LANGUAGE_NOT_SUPPORTED_BY_ATTRIBUTE")


# ---- what clients that exist send ----

QUICKSTART = """{comment: {text: "what kind of idiot name is foo?"},
       languages: ["en"],
       requestedAttributes: {TOXICITY:{}} }"""
"""The body of Google's own example."""


@pytest.mark.parametrize(
    "raw",
    [
        QUICKSTART,
        QUICKSTART.replace('"', "'"),
        QUICKSTART.replace("]", ",]").replace("}} }", "},},}"),
        f"\ufeff{QUICKSTART}",
    ],
    ids=["no quotes", "single quotes", "commas", "a byte order mark"],
)
def test_json_as_people_write_it_is_read_as_google_reads_it(
    ask: Ask, voters: Voters, raw: str
) -> None:
    voters["meaning what kind of idiot name is foo?"] = toxic(0.8)
    query = {"panel": "embedded"}
    encoded = {"isBase64Encoded": True, "raw": base64.b64encode(raw.encode()).decode()}
    for sent in ({"raw": raw}, encoded):
        status, answer = ask(name=ROUTE, queryStringParameters=query, **sent)
        assert status == 200, answer
        assert answer["attributeScores"]["TOXICITY"]["summaryScore"]["value"] == 0.8
        assert answer["languages"] == ["en"]


def test_a_suggestion_as_people_write_it_is_read_and_no_other_route_does_so(
    ask: Ask, voters: Voters
) -> None:
    raw = "{comment: {text: 'x'}, attributeScores: {TOXICITY: {summaryScore: {value: 1}}}}"
    assert ask(raw=raw, name=SUGGEST)[0] == 200
    status, answer = ask(raw="{content: 'x'}", name="post_verdict.json")
    assert (status, answer["error"]["code"]) == (400, "invalid_json")


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ("{comment: {text: 'x', text: 'y'}}", "text"),
        ("{comment: {}, requestedAttributes: {TOXICITY: {scoreThreshold: Infinity}}}", "Threshold"),
        ("{comment: {text: 'x'}, requestedAttributes: {TOXICITY: {scoreThreshold: 0x1}}}", "JSON"),
        ("{comment: {text: 'x'}, languages: " + "[" * 100_000, "deep"),
        ("{comment: {text: 'x}", "JSON"),
        ("['x']", "object"),
        ("{comment: {text: '" + "x" * 300_000 + "'}}", "JSON"),
    ],
    ids=lambda raw: raw[-9:],
)
def test_what_is_wrong_in_json_as_people_write_it_is_refused_in_googles_form(
    ask: Ask, raw: str, says: str
) -> None:
    status, answer = ask(raw=raw, name=ROUTE)
    assert (status, error_type(answer)) == (400, "INVALID_REQUEST")
    assert says in answer["error"]["message"]


def test_an_attribute_with_a_version_is_answered_under_that_name(ask: Ask, voters: Voters) -> None:
    voters["meaning"] = toxic(0.9, insult=0.7)
    text = "Thanks. You idiot!"
    names = ("TOXICITY@6", "TOXICITY", "INSULT@2", "INSULT_EXPERIMENTAL@1")
    status, answer = analyze(ask, text, *names, spanAnnotations=True)
    assert status == 200, answer
    scores = answer["attributeScores"]
    assert {name: one["summaryScore"]["value"] for name, one in scores.items()} == {
        "TOXICITY@6": 0.9,
        "TOXICITY": 0.9,
        "INSULT@2": 0.7,
        "INSULT_EXPERIMENTAL@1": 0.7,
    }
    assert scores["TOXICITY@6"] == scores["TOXICITY"]
    wanted = {"TOXICITY@6": {"scoreThreshold": 0.95}, "INSULT@2": {}}
    _, answer = analyze(ask, text, requestedAttributes=wanted)
    assert answer["attributeScores"].keys() == {"INSULT@2"}
    suggestion = {"comment": {"text": text}, "attributeScores": {"INSULT@2": SAID}}
    assert ask(suggestion, name=SUGGEST)[0] == 200


@pytest.mark.parametrize("name", ["FLIRTATION@2", "SEVERE_TOXICITY@2"])
def test_an_attribute_with_a_version_that_nobody_gives_is_refused_by_name_or_dropped(
    ask: Ask, voters: Voters, name: str
) -> None:
    voters["meaning"] = toxic()
    status, answer = analyze(ask, "You idiot.", "TOXICITY@6", name)
    assert (status, error_type(answer)) == (400, "LANGUAGE_NOT_SUPPORTED_BY_ATTRIBUTE")
    (own, _) = answer["error"]["details"]
    assert own["languageNotSupportedByAttributeError"]["attribute"] == name
    _, answer = analyze(ask, "You idiot.", "TOXICITY@6", name, dropUnsupportedAttributes=True)
    assert answer["attributeScores"].keys() == {"TOXICITY@6"}


@pytest.mark.parametrize(
    "name", ["TOXICITY@x", "TOXICITY@", "@6", "RUDENESS@1", "TOXICITY@6\n", "TOXICITY@1@2"]
)
def test_a_version_makes_no_unknown_attribute_known(ask: Ask, name: str) -> None:
    status, answer = analyze(ask, "x", name, dropUnsupportedAttributes=True)
    assert (status, error_type(answer)) == (400, "INVALID_REQUEST")
    assert "Unknown requested attribute" in answer["error"]["message"]
    suggestion = {"comment": {"text": "x"}, "attributeScores": {name: SAID}}
    assert ask(suggestion, name=SUGGEST)[0] == 400


SAID = {"summaryScore": {"value": 1}}


def coral(**scores: Any) -> dict[str, Any]:
    """What Coral sends when a moderator has decided."""
    entry = {"url": "https://news.example.com/a?commentID=1", "Coral_comment_id": "1"}
    return {
        "comment": {"text": "a comment"},
        "context": {"entries": [{"text": json.dumps(entry)}]},
        "attributeScores": scores,
        "languages": ["en"],
        "communityId": "Coral:https://news.example.com",
        "clientToken": "comment:1",
    }


@pytest.mark.parametrize(
    ("scores", "decision"),
    [
        ({"APPROVED": SAID}, "safe"),
        ({"HIGHLIGHTED": SAID}, "safe"),
        ({"DELETED": SAID}, "unsafe"),
        ({"REJECTED": SAID}, "unsafe"),
        ({"APPROVED": SAID, "TOXICITY": SAID}, "unsafe"),
        ({"APPROVED": SAID, "TOXICITY": {"summaryScore": {"value": 0.2}}}, "safe"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else value,
)
def test_corals_status_of_a_comment_is_a_suggestion(
    ask: Ask, voters: Voters, scores: Any, decision: str
) -> None:
    status, answer = ask(coral(**scores), name=SUGGEST)
    assert (status, answer) == (
        200,
        {
            "clientToken": "comment:1",
            "requestedLanguages": ["en"],
            "detectedLanguages": answer["detectedLanguages"],
        },
    )
    _, labels = ask(name="get_suggestions.json")
    (label,) = labels["suggestions"]
    assert (label["content"], label["decision"]) == ("a comment", decision)
    assert label["scores"].keys() == scores.keys()


@pytest.mark.parametrize("name", ["APPROVED", "HIGHLIGHTED", "DELETED", "REJECTED"])
def test_a_status_that_a_comment_does_not_have_suggests_nothing(ask: Ask, name: str) -> None:
    status, answer = ask(coral(**{name: {"summaryScore": {"value": 0}}}), name=SUGGEST)
    assert (status, error_type(answer)) == (400, "INVALID_REQUEST")
    assert answer["error"]["details"][1]["fieldViolations"][0]["field"] == f"attributeScores.{name}"
    status, answer = analyze(ask, "x", name)
    assert (status, error_type(answer)) == (400, "INVALID_REQUEST")


# ---- attributes and languages that cannot be served ----


def error_type(answer: Any) -> str:
    (own, *_) = answer["error"]["details"]
    assert own["@type"] == "type.googleapis.com/google.commentanalyzer.v1alpha1.Error"
    return str(own["errorType"])


@pytest.mark.parametrize("name", ["INSULT", "FLIRTATION", "RESPECT_EXPERIMENTAL"])
def test_an_attribute_that_nobody_gives_is_refused_by_name_or_dropped(
    ask: Ask, voters: Voters, name: str
) -> None:
    voters["meaning"] = toxic()
    status, answer = analyze(ask, "You idiot.", "TOXICITY", name, languages=["ro", "en"])
    assert status == 400
    assert answer["error"]["message"] == (
        f"Attribute {name} does not support request languages: ro, en."
        " dropUnsupportedAttributes: true leaves it out"
    )
    assert error_type(answer) == "LANGUAGE_NOT_SUPPORTED_BY_ATTRIBUTE"
    (own, _) = answer["error"]["details"]
    told = own["languageNotSupportedByAttributeError"]
    assert (told["attribute"], told["requestedLanguages"]) == (name, ["ro", "en"])
    status, answer = analyze(ask, "You idiot.", "TOXICITY", name, dropUnsupportedAttributes=True)
    assert (status, answer["attributeScores"].keys()) == (200, {"TOXICITY"})


def test_all_attributes_that_nobody_gives_are_named_and_the_key_may_say_to_drop_them(
    ask: Ask, event: Any, voters: Voters
) -> None:
    voters["meaning"] = toxic(0.9, threat=0.2)
    wanted = ("TOXICITY", "INSULT", "THREAT", "PROFANITY")
    status, answer = analyze(ask, "Du Idiot.", *wanted, languages=["de"])
    assert status == 400
    assert answer["error"]["message"] == (
        "Attribute INSULT does not support request languages: de. Nor do: PROFANITY."
        " dropUnsupportedAttributes: true leaves them out"
    )
    (own, _) = answer["error"]["details"]
    told = own["languageNotSupportedByAttributeError"]
    assert told["unsupportedAttributes"] == ["INSULT", "PROFANITY"]
    context = event(ROUTE)["requestContext"]  # API Gateway makes text of what an authorizer says
    context["authorizer"]["drop_unsupported_attributes"] = "true"
    for wish in ({}, {"dropUnsupportedAttributes": False}):
        body = {
            "comment": {"text": "Du Idiot."},
            "requestedAttributes": dict.fromkeys((*wanted, "SPAM")),
            "languages": ["de"],
        }
        query = {"panel": "embedded"}
        status, answer = ask(
            body | wish, name=ROUTE, queryStringParameters=query, requestContext=context
        )
        assert (status, answer["attributeScores"].keys()) == (200, {"TOXICITY", "THREAT"})


def test_a_text_whose_language_cannot_be_told_says_so_where_nobody_reads_it(
    ask: Ask, voters: Voters
) -> None:
    status, answer = analyze(ask, "👍 !!!", languages=[])
    assert (status, error_type(answer)) == (400, "LANGUAGE_DETECTION_FAILED")
    assert answer["error"]["message"] == "Unable to detect language"


def test_a_language_in_letters_that_nobody_reads_it_in_is_refused(ask: Ask, voters: Voters) -> None:
    voters["meaning"] = toxic()
    status, answer = analyze(ask, "tum bewakoof ho", languages=["hi-Latn"])
    assert (status, error_type(answer)) == (400, "LANGUAGE_NOT_SUPPORTED_BY_ATTRIBUTE")
    assert analyze(ask, "du idiot", languages=["de-Latn"])[0] == 200


def test_of_several_languages_the_comments_own_is_used(ask: Ask, voters: Voters, aws: Any) -> None:
    voters["meaning"] = toxic()
    text = "Du bist ein Idiot und alle hier hassen dich."
    for languages, language in ((["en", "de"], "de"), (["fr", "es"], "fr"), (["en-GB"], "en")):
        _, answer = analyze(ask, text, languages=languages)
        assert answer["languages"] == languages
        path = f"/verdicts/{answer['quorum']['verdict_id']}"
        assert ask(name="get_verdict.json", path=path)[1]["language"] == language


def test_voters_that_are_down_are_no_reason_to_call_a_language_unsupported(
    ask: Ask, voters: Voters
) -> None:
    voters["meaning"] = make.abstention("meaning", "failed")
    status, answer = analyze(ask)
    assert (status, answer["error"]["status"]) == (503, "UNAVAILABLE")


# ---- keys ----


@pytest.mark.parametrize(
    ("refused", "told"),
    [
        ("unknown", (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.")),
        ("missing", (403, "PERMISSION_DENIED", "unregistered callers")),
    ],
)
def test_a_key_that_is_missing_or_unknown_is_told_as_google_does(
    event: Any, context: Any, ask: Ask, refused: str, told: tuple[int, str, str]
) -> None:
    status, name, says = told
    request = event(ROUTE)
    request["requestContext"]["authorizer"] = {"principalId": "nobody", "refused": refused}
    answer = api.handler(request, context)
    error = json.loads(answer["body"])["error"]
    assert (answer["statusCode"], error["code"], error["status"]) == (status, status, name)
    assert says in error["message"]
    assert error["details"] == []
    assert answer["multiValueHeaders"]["Access-Control-Allow-Origin"] == ["*"]


@pytest.mark.parametrize("name", [ROUTE, SUGGEST])
@pytest.mark.parametrize(("refused", "status"), [("unknown", 400), ("missing", 403)])
def test_a_key_is_refused_before_anything_of_the_request_is_read(
    event: Any, context: Any, ask: Ask, name: str, refused: str, status: int
) -> None:
    for wrong in (
        *({"body": "{"}, {"body": None}, {"body": "x" * 5_000_000}),
        *({"body": "/w==", "isBase64Encoded": True}, {"queryStringParameters": {"colour": "red"}}),
    ):
        request = event(name) | wrong
        request["requestContext"]["authorizer"] = {"principalId": "nobody", "refused": refused}
        answer = api.handler(request, context)
        error = json.loads(answer["body"])["error"]
        assert (answer["statusCode"], error["details"]) == (status, [])
        assert ("API key not valid" in error["message"]) is (refused == "unknown")


def test_a_key_in_the_address_is_never_logged(
    ask: Ask, voters: Voters, caplog: pytest.LogCaptureFixture
) -> None:
    voters["meaning"] = make.abstention("meaning", "failed")
    query = {"key": "qk_in-the-address", "panel": "embedded"}
    body = {"comment": {"text": "x"}, "requestedAttributes": {"TOXICITY": {}}}
    ask(body, name=ROUTE, queryStringParameters=query)
    assert "request refused" in caplog.text
    assert "qk_in-the-address" not in str([vars(record) for record in caplog.records])


# ---- bad input ----

COMMENT = {"text": "x"}
ALL = {"comment": COMMENT, "requestedAttributes": {"TOXICITY": {}}}
DEEP = "[" * 100_000
BAD: dict[str, tuple[Any, str, str]] = {
    "nothing": ({}, "INVALID_REQUEST", "comment"),
    "no text": (ALL | {"comment": {}}, "COMMENT_EMPTY", "Comment must be non-empty."),
    "empty": (ALL | {"comment": {"text": ""}}, "COMMENT_EMPTY", "Comment must be non-empty."),
    "nothing visible": (ALL | {"comment": {"text": " \u200b"}}, "COMMENT_EMPTY", "non-empty"),
    "too long": (ALL | {"comment": {"text": "x" * 20_481}}, "COMMENT_TOO_LONG", "20480"),
    "too many bytes": (ALL | {"comment": {"text": "字" * 7_000}}, "COMMENT_TOO_LONG", "20480"),
    "too long once normalised": (
        ALL | {"comment": {"text": "\ufdfa" * 6_800}},
        *("COMMENT_TOO_LONG", "32768"),
    ),
    "a number as text": (ALL | {"comment": {"text": 7}}, "INVALID_REQUEST", "comment.text"),
    "a text as comment": (ALL | {"comment": "x"}, "INVALID_REQUEST", "comment"),
    "HTML": (ALL | {"comment": {"text": "x", "type": "HTML"}}, "INVALID_REQUEST", "PLAIN_TEXT"),
    "an unknown type": (ALL | {"comment": {"text": "x", "type": 3}}, "INVALID_REQUEST", "type"),
    "no attributes": (
        ALL | {"requestedAttributes": {}},
        *("NO_REQUESTED_ATTRIBUTES", "Missing requested_attributes"),
    ),
    "null attributes": (
        ALL | {"requestedAttributes": None},
        *("NO_REQUESTED_ATTRIBUTES", "Missing requested_attributes"),
    ),
    "a list of attributes": (
        ALL | {"requestedAttributes": ["TOXICITY"]},
        *("INVALID_REQUEST", "requestedAttributes"),
    ),
    "an unknown attribute": (
        ALL | {"requestedAttributes": {"TOXICITY": {}, "RUDENESS": {}}},
        *("INVALID_REQUEST", "Unknown requested attribute: RUDENESS"),
    ),
    "a surrogate as attribute": (
        ALL | {"requestedAttributes": {"\ud800": {}}},
        *("INVALID_REQUEST", "requestedAttributes"),
    ),
    "a long attribute": (
        ALL | {"requestedAttributes": {"A" * 300: {}}},
        *("INVALID_REQUEST", "256"),
    ),
    "a score type": (
        ALL | {"requestedAttributes": {"TOXICITY": {"scoreType": "PERCENTILE"}}},
        *("INVALID_REQUEST", "only PROBABILITY is served"),
    ),
    "a text as threshold": (
        ALL | {"requestedAttributes": {"TOXICITY": {"scoreThreshold": "high"}}},
        *("INVALID_REQUEST", "scoreThreshold"),
    ),
    "a threshold that no score reaches": (
        ALL | {"requestedAttributes": {"TOXICITY": {"scoreThreshold": 7}}},
        *("INVALID_REQUEST", "requestedAttributes.TOXICITY.scoreThreshold: must be at most 1"),
    ),
    "a threshold below all scores": (
        ALL | {"requestedAttributes": {"TOXICITY": {"scoreThreshold": -0.1}}},
        *("INVALID_REQUEST", "must be at least 0"),
    ),
    "a text as switch": (ALL | {"doNotStore": "yes"}, "INVALID_REQUEST", "doNotStore"),
    "an unknown field": (ALL | {"colour": "red"}, "INVALID_REQUEST", "colour"),
    "a language that is none": (ALL | {"languages": ["e"]}, "INVALID_REQUEST", "languages.0"),
    "too many languages": (ALL | {"languages": ["en"] * 21}, "INVALID_REQUEST", "20"),
    "both contexts": (
        ALL
        | {
            "context": {
                "entries": [COMMENT],
                "articleAndParentComment": {"article": COMMENT},
            }
        },
        *("INVALID_REQUEST", "not both"),
    ),
    "a long context": (
        ALL | {"context": {"entries": [{"text": "x" * 1_048_577}]}},
        *("INVALID_REQUEST", "1048576"),
    ),
    "a long token": (ALL | {"clientToken": "x" * 1_025}, "INVALID_REQUEST", "1024"),
    "deep": (ALL | {"languages": [[[[[]]]]]}, "INVALID_REQUEST", "languages.0"),
}


@pytest.mark.parametrize(("body", "kind", "says"), BAD.values(), ids=BAD)
def test_a_bad_request_is_refused_in_googles_form_by_field_and_limit(
    ask: Ask, body: Any, kind: str, says: str
) -> None:
    status, answer = ask(body, name=ROUTE)
    assert status == 400, answer
    error = answer["error"]
    assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    assert error_type(answer) == kind
    assert says in error["message"]
    assert len(json.dumps(answer)) < 1_500


@pytest.mark.parametrize(
    "raw", [DEEP, '{"comment":' * 50_000, "NaN", "null", "", '["x"]'], ids=lambda raw: raw[:9]
)
def test_a_body_that_is_no_request_is_refused_in_googles_form(ask: Ask, raw: str) -> None:
    status, answer = ask(raw=raw, name=ROUTE)
    assert (status, error_type(answer)) == (400, "INVALID_REQUEST")


def test_a_body_that_is_not_utf_8_or_too_large_is_refused_in_googles_form(ask: Ask) -> None:
    raw = base64.b64encode(b'{"comment": "\xff\xfe"}').decode()
    status, answer = ask(raw=raw, name=ROUTE, isBase64Encoded=True)
    assert (status, error_type(answer)) == (400, "INVALID_REQUEST")
    assert "UTF-8" in answer["error"]["message"]
    status, answer = ask(raw=json.dumps({"comment": "x" * 5_000_000}), name=ROUTE)
    assert (status, error_type(answer)) == (413, "INVALID_REQUEST")
    assert "send a shorter text" in answer["error"]["message"]


def test_half_an_emoji_counts_as_one_unit_and_is_judged(ask: Ask, voters: Voters) -> None:
    voters["meaning"] = toxic()
    status, answer = analyze(ask, "cut \ud83d")
    (span,) = answer["attributeScores"]["TOXICITY"]["spanScores"]
    assert (status, span["end"]) == (200, 5)


@pytest.mark.parametrize(("panel", "says"), [("none", "there is no panel"), ("x" * 65, "64")])
def test_an_unknown_panel_is_refused_by_name(ask: Ask, panel: str, says: str) -> None:
    status, answer = analyze(ask, panel=panel)
    assert (status, error_type(answer)) == (400, "INVALID_REQUEST")
    assert says in answer["error"]["message"]


def test_the_same_comment_of_another_tenant_shares_nothing(
    ask: Ask, cached: Callable[..., None], aws: Any
) -> None:
    cached(
        make.evaluation(panel_name="embedded", content=Content(text="mine", language="en")),
        *("unsafe",),
        attribute_scores={"toxicity": 0.9},
    )
    assert analyze(ask, "mine")[0] == 200
    body = {"comment": {"text": "mine"}, "requestedAttributes": {"TOXICITY": {}}}
    query = {"panel": "embedded"}
    assert ask(body, name=ROUTE, tenant="other", queryStringParameters=query)[0] == 503
