"""Hostile requests: each is refused by name, and none is a 500."""

import base64
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import boto3
import pytest

from functions.estimate import app as estimate
from tests import template
from tests.functions.conftest import Ask, reopen

LONG_NUMBER = "9" * 5_000
SURROGATE = "\ud800"
HELLO = {"role": "user", "content": "Say hello."}
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}}


class Spelled:
    """A value that `json.dumps` cannot spell: it stands in the body as it is written here."""

    def __init__(self, text: str) -> None:
        self.text = text


def body_of(value: Any) -> str:
    """`value` as JSON, with what is `Spelled` in it."""
    spelled: list[str] = []

    def mark(one: Spelled) -> str:
        spelled.append(one.text)
        return f"spelled {len(spelled) - 1}"

    body = json.dumps(value, default=mark)
    for number, text in enumerate(spelled):
        body = body.replace(f'"spelled {number}"', text)
    return body


NUMBERS = {
    "5,000 digits": Spelled(LONG_NUMBER),
    "minus 5,000 digits": Spelled(f"-{LONG_NUMBER}"),
    "not a number": Spelled("NaN"),
    "infinite": Spelled("Infinity"),
    "1e999": Spelled("1e999"),
}


@pytest.fixture(autouse=True)
def _queues(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, variable in (("items", "ITEMS_QUEUE"), ("documents", "DOCUMENTS_QUEUE")):
        monkeypatch.setenv(variable, boto3.client("sqs").create_queue(QueueName=name)["QueueUrl"])
    boto3.client("s3").create_bucket(Bucket="UploadsBucket")


# ---- ids ----


IDS = {
    "3,000 characters": "x" * 3_000,
    "a number sign": "acme#0123",
    "a newline at its end": "0123456789abcdef\n",
    "a newline": "0123\n4567",
    "NUL": "0123\x00",
    "a half of a surrogate pair": "0123\ud800",
    "dots": "..",
    "a percent sign": "%23%00",
    "a quotation mark": "'; --",
}


@pytest.mark.parametrize("given", IDS.values(), ids=IDS)
@pytest.mark.parametrize(
    "route",
    [
        *("get_verdict", "post_review", "get_batch", "get_results", "delete_batch"),
        *("post_redrive", "get_model"),
    ],
)
def test_an_id_that_nothing_has_is_a_404(ask: Ask, event: Any, route: str, given: str) -> None:
    asked = event(f"{route}.json")
    ((name, before),) = asked["pathParameters"].items()
    path = asked["path"].replace(before, given)
    status, answer = ask(name=f"{route}.json", path=path, pathParameters={name: given})
    assert status == 404
    assert answer["error"]["code"] in (
        *("verdict_not_found", "batch_not_found", "model_not_found", "no_such_route"),
    )


def test_the_id_of_a_verdict_with_a_newline_behind_it_is_not_the_verdicts(ask: Ask) -> None:
    _, verdict = ask({"content": "a text"})
    path = f"/verdicts/{verdict['id']}"
    assert ask(name="get_verdict.json", path=path)[0] == 200
    assert ask(name="get_verdict.json", path=f"{path}\n")[0] == 404


# ---- queries and headers ----


def cursor(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


CURSORS = [
    *("nonsense", "====", "ä", "\x00", "bnVsbA==", "W10=", "x" * 512, "x" * 513),
    cursor(["0" * 32]),
    cursor(["0" * 32, "2026-11-01T00:00:00+00:00", "more"]),
    cursor({"a": 1, "b": 2}),
    cursor([["0" * 32], "2026-11-01T00:00:00+00:00"]),
    cursor(["0" * 32, 7]),
    cursor(["a#b", "2026-11-01T00:00:00+00:00"]),
    cursor([[[[[[]]]]], []]),
]


@pytest.mark.parametrize("given", CURSORS)
def test_a_cursor_that_no_page_ended_with_is_a_400(ask: Ask, given: str) -> None:
    status, answer = ask(name="get_reviews.json", queryStringParameters={"next": given})
    assert (status, answer["error"]["code"], answer["error"]["field"]) == (
        *(400, "invalid_next", "next"),
    )


@pytest.mark.parametrize(
    ("route", "query", "field"),
    [
        ("get_results", {"start": LONG_NUMBER}, "start"),
        ("get_results", {"start": "1e999"}, "start"),
        ("get_results", {"start": "NaN"}, "start"),
        ("get_results", {"limit": "-1"}, "limit"),
        ("get_results", {"limit": LONG_NUMBER}, "limit"),
        ("get_results", {"gaps": "\x00"}, "gaps"),
        ("get_reviews", {"panel": "x" * 65}, "panel"),
        ("get_reviews", {"limit": "1e1"}, "limit"),
        ("get_costs", {"by": "model; drop"}, "by"),
        ("get_costs", {"from": LONG_NUMBER}, "from"),
        ("get_costs", {"to": "1e999"}, "to"),
        ("get_costs", {"from": "0001-01-01", "to": "9999-12-31"}, "to"),
        ("get_stats", {"from": "2026-13-01"}, "from"),
        ("get_panels", {"name": "x" * 65}, "name"),
        ("get_panels", {"name": "../../tenants/other/panels/x"}, "panel"),
        ("get_panels", {"name": "default:1"}, "panel"),
        ("get_panels", {"name": "default\n"}, "panel"),
        ("get_health", {"deep": "perhaps"}, "deep"),
    ],
)
def test_a_query_of_junk_is_a_400_that_names_its_field(
    ask: Ask, route: str, query: dict[str, str], field: str
) -> None:
    several = {name: [value] for name, value in query.items()}
    status, answer = ask(
        name=f"{route}.json",
        queryStringParameters=query,
        multiValueQueryStringParameters=several,
    )
    assert (status, answer["error"]["field"]) == (400, field)


@pytest.mark.parametrize("route", ["post_verdict", "post_batch", "post_documents"])
@pytest.mark.parametrize("key", ["", "x" * 129])
def test_an_idempotency_key_that_is_empty_or_too_long_is_a_400(
    ask: Ask, route: str, key: str
) -> None:
    status, answer = ask(name=f"{route}.json", headers={"Idempotency-Key": key})
    assert (status, answer["error"]["field"]) == (400, "idempotency-key")


# ---- bodies ----


def test_nothing_is_put_in_force_without_a_body(ask: Ask) -> None:
    status, answer = ask(raw="", name="put_policy.json")
    assert (status, answer["error"]["code"]) == (400, "invalid_body")


NO_NUMBER = NUMBERS["not a number"]


@pytest.mark.parametrize(
    ("route", "body", "field"),
    [
        *(
            ("post_chat_completion", {"messages": [HELLO], name: NO_NUMBER}, name)
            for name in ("temperature", "top_p", "presence_penalty", "frequency_penalty", "seed")
        ),
        ("post_batch", {"items": [{"content": "x"}], "alert_usd": NO_NUMBER}, "alert_usd"),
        ("put_policy", {"quality_sample": {"share": NO_NUMBER}}, "quality_sample.share"),
        (
            *("put_policy", {"categories": {"hate": {"threshold": NO_NUMBER}}}),
            "categories.hate.threshold",
        ),
        *(
            (
                "analyze_comment",
                {
                    "comment": {"text": "x"},
                    "requestedAttributes": {"TOXICITY": {"scoreThreshold": number}},
                },
                "requestedAttributes.TOXICITY.scoreThreshold",
            )
            for number in (NO_NUMBER, "NaN")
        ),
    ],
)
def test_what_is_no_number_is_refused_as_such_and_not_as_too_large(
    ask: Ask, route: str, body: Any, field: str
) -> None:
    status, answer = ask(raw=body_of(body), name=f"{route}.json")
    assert status == 400, answer
    assert answer["error"]["message"] == f"{field}: must be a finite number"


Refused = tuple[str, dict[str, Any], str]


def refused() -> dict[str, Refused]:
    """Name → route, body and the field that is refused."""
    content = {"content": "x"}
    documents = {"documents": [{"text": "x"}]}
    found: dict[str, Refused] = {}
    for name, number in NUMBERS.items():
        found |= {
            f"metadata, {name}": (
                "post_verdict",
                content | {"metadata": {"a": number}},
                "metadata.a",
            ),
            f"alert, {name}": (
                "post_batch",
                {"items": [content], "alert_usd": number},
                "alert_usd",
            ),
            f"seed, {name}": (
                "post_chat_completion",
                {"messages": [HELLO], "seed": number},
                "seed",
            ),
            f"temperature, {name}": (
                *("post_chat_completion", {"messages": [HELLO], "temperature": number}),
                "temperature",
            ),
            f"penalty, {name}": (
                *("post_chat_completion", {"messages": [HELLO], "presence_penalty": number}),
                "presence_penalty",
            ),
            f"max_tokens, {name}": (
                *("post_chat_completion", {"messages": [HELLO], "max_tokens": number}),
                "max_tokens",
            ),
            f"sentences, {name}": (
                "post_documents",
                documents | {"operation": "summarize", "sentences": number},
                "sentences",
            ),
            f"schema, {name}": (
                "post_documents",
                documents | {"operation": "extract", "schema": SCHEMA | {"maxProperties": number}},
                "schema",
            ),
            f"reply schema, {name}": (
                "post_chat_completion",
                {"messages": [HELLO]} | reply_schema(SCHEMA | {"maxProperties": number}),
                "response_format.json_schema.schema",
            ),
        }
    surrogates: dict[str, Refused] = {
        "metadata value": ("post_verdict", content | {"metadata": {"a": SURROGATE}}, "metadata.a"),
        "metadata name": ("post_verdict", content | {"metadata": {SURROGATE: 1}}, "metadata"),
        "panel": ("post_verdict", content | {"panel": SURROGATE}, "panel"),
        "unknown field": ("post_verdict", content | {SURROGATE: 1}, "body"),
        "note": (
            "post_review",
            {"decision": "safe", "reviewer": "ada", "note": SURROGATE},
            "note",
        ),
        "message": (
            "post_chat_completion",
            {"messages": [{"role": "user", "content": SURROGATE}]},
            "messages.0.content",
        ),
        "model": ("post_chat_completion", {"messages": [HELLO], "model": SURROGATE}, "model"),
        "stop": ("post_chat_completion", {"messages": [HELLO], "stop": [SURROGATE]}, "stop"),
        "reply schema": (
            "post_chat_completion",
            {"messages": [HELLO]} | reply_schema({"properties": {SURROGATE: {}}}),
            "response_format.json_schema.schema",
        ),
        "prompt": (
            "post_documents",
            documents | {"operation": "custom", "prompt": SURROGATE},
            "prompt",
        ),
        "category": (
            "post_documents",
            documents | {"operation": "classify", "categories": ["a", SURROGATE]},
            "categories.1",
        ),
        "schema": (
            "post_documents",
            documents
            | {"operation": "extract", "schema": {**SCHEMA, "properties": {SURROGATE: {}}}},
            "schema",
        ),
        "upload": ("post_batch", {"upload": SURROGATE}, "upload"),
    }
    found |= {f"surrogate in {name}": one for name, one in surrogates.items()}
    for amount in ("1e400", "9" * 46, f"0.{'1' * 46}", "NaN", "-1", LONG_NUMBER):
        body = {"items": [content], "alert_usd": amount}
        found[f"alert_usd {amount[:8]}"] = ("post_batch", body, "alert_usd")
    found["a name of 100,000 characters"] = (
        "post_verdict",
        content | {"n" * 100_000: 1},
        "n" * 64 + "…",
    )
    return found


def reply_schema(schema: Any) -> dict[str, Any]:
    named = {"name": "x", "schema": schema}
    return {"response_format": {"type": "json_schema", "json_schema": named}}


REFUSED = refused()


@pytest.mark.parametrize(("route", "body", "field"), REFUSED.values(), ids=REFUSED)
def test_a_value_that_nothing_can_keep_is_a_400_that_names_its_field(
    ask: Ask, route: str, body: Any, field: str
) -> None:
    status, answer = ask(raw=body_of(body), name=f"{route}.json")
    assert status == 400, answer
    named = answer["error"]["field"]
    assert named == field or named.startswith(f"{field}."), answer
    assert len(json.dumps(answer)) < 1_000


@pytest.mark.parametrize(
    "raw",
    [
        *(
            "[" * 100_000,
            '{"a":' * 50_000,
            '[{"content": "x"}]',
            '"content"',
            "null",
            "7",
            LONG_NUMBER,
        ),
        *("NaN", "\ufeff{}", '{"content": "x"} {}', '{"content": "x",}', "\x00", "{}"),
    ],
    ids=lambda raw: raw[:12],
)
@pytest.mark.parametrize(
    "route",
    [
        *("post_verdict", "post_review", "post_batch", "post_documents"),
        *("post_chat_completion",),
    ],
)
def test_a_body_that_is_no_request_is_a_400(ask: Ask, route: str, raw: str) -> None:
    status, answer = ask(raw=raw, name=f"{route}.json")
    assert status == 400, answer


BAD_ITEMS: dict[str, dict[str, Any]] = {
    **{name: {"metadata": {"a": number}} for name, number in NUMBERS.items()},
    "surrogate value": {"metadata": {"a": SURROGATE}},
    "surrogate name": {"metadata": {SURROGATE: 1}},
    "surrogate field": {SURROGATE: 1},
    "surrogate id": {"id": SURROGATE},
    "a long name": {"n" * 100_000: 1},
}


@pytest.mark.parametrize("bad", BAD_ITEMS.values(), ids=BAD_ITEMS)
@pytest.mark.parametrize(
    ("route", "field", "good", "more"),
    [
        ("post_batch", "items", {"content": "x"}, {}),
        ("post_documents", "documents", {"text": "x"}, {"operation": "summarize"}),
    ],
)
def test_an_item_that_cannot_be_kept_is_rejected_alone(
    ask: Ask,
    route: str,
    field: str,
    good: dict[str, Any],
    more: dict[str, Any],
    bad: dict[str, Any],
) -> None:
    body = {field: [good, good | bad, good]} | more
    status, taken = ask(raw=body_of(body), name=f"{route}.json")
    assert status == 202, taken
    assert [one["index"] for one in taken["rejected"]] == [1]
    assert taken["items"] == 3


def test_a_sum_that_can_be_kept_is_taken_to_its_last_digit(ask: Ask) -> None:
    body = {"items": [{"content": "x"}], "alert_usd": "999999999.123456789012"}
    status, taken = ask(body, name="post_batch.json")
    assert status == 202
    path = f"/batches/{taken['id']}"
    _, view = ask(name="get_batch.json", path=path)
    assert Decimal(view["alert_usd"]) == Decimal("999999999.123456789012")


# ---- estimates: the same bodies, a function of its own ----


@pytest.fixture
def estimated(
    ask: Ask, within: Callable[[str], None], event: Any, context: Any
) -> Callable[[str], tuple[int, Any]]:
    within("EstimateFunction")
    reopen(estimate)
    assert template.environment("EstimateFunction")["UPLOADS_BUCKET"] == "UploadsBucket"

    def send(raw: str) -> tuple[int, Any]:
        asked = event("post_estimate.json") | {"body": raw}
        answer = estimate.handler(asked, context)
        return answer["statusCode"], json.loads(answer["body"])

    return send


DOCUMENTS = {name: one for name, one in REFUSED.items() if one[0] == "post_documents"}


@pytest.mark.parametrize(("_route", "body", "field"), DOCUMENTS.values(), ids=DOCUMENTS)
def test_an_estimate_of_what_nothing_can_keep_is_a_400_that_names_its_field(
    estimated: Callable[[str], tuple[int, Any]], _route: str, body: Any, field: str
) -> None:
    status, answer = estimated(body_of(body))
    assert (status, answer["error"]["field"].partition(".")[0]) == (400, field.partition(".")[0])


@pytest.mark.parametrize("bad", BAD_ITEMS.values(), ids=BAD_ITEMS)
def test_a_document_that_cannot_be_kept_is_left_out_of_an_estimate_alone(
    estimated: Callable[[str], tuple[int, Any]], bad: dict[str, Any]
) -> None:
    good = {"text": "x"}
    body = {"operation": "summarize", "documents": [good, good | bad, good]}
    status, found = estimated(body_of(body))
    assert status == 200, found
    assert [one["index"] for one in found["rejected"]] == [1]
    assert [one["index"] for one in found["documents"]] == [0, 2]
