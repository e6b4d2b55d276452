"""POST /documents/estimate on moto: files read, counted, and what the tenant has seen applied."""

import base64
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import boto3
import pytest
from quorum.core import registry
from quorum.core.models import Tokens
from quorum.document.operations import Operation, Work
from quorum.ledger import ledger

from functions.estimate import app as estimate
from tests import template
from tests.documents import docx, pdf, pdf_bomb
from tests.functions.conftest import reopen

TENANT = "acme"
SENTENCE = "The committee met on Monday and adjourned at noon. "
Send = Callable[..., tuple[int, Any]]


@pytest.fixture
def send(aws: Any, within: Callable[[str], None], event: Any, context: Any) -> Send:
    """Sends a request; its answer's status and body."""
    within("EstimateFunction")
    bucket = template.environment("EstimateFunction")["UPLOADS_BUCKET"]
    boto3.client("s3").create_bucket(Bucket=bucket)
    reopen(estimate)

    def post(body: Any) -> tuple[int, Any]:
        request = event("post_estimate.json")
        request["body"] = json.dumps(body)
        request["requestContext"]["authorizer"] |= {"tenant": TENANT, "role": "member"}
        answer = estimate.handler(request, context)
        return answer["statusCode"], json.loads(answer["body"])

    return post


def put(key: str, body: bytes) -> str:
    bucket = template.environment("EstimateFunction")["UPLOADS_BUCKET"]
    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=body)
    return key


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_files_are_read_and_counted_and_the_unreadable_ones_named(send: Send) -> None:
    text = SENTENCE * 30
    status, found = send(
        {
            "operation": "summarize",
            "model": "gpt-4.1",
            "documents": [
                {"id": "text", "text": text},
                {"id": "pdf", "content": encoded(pdf([SENTENCE * 3, SENTENCE]))},
                {"content": encoded(docx([SENTENCE] * 9)), "media_type": "text/plain", "name": "a"},
                {"content": encoded(pdf_bomb())},
                {"text": ""},
            ],
        }
    )
    assert status == 200, found
    assert [one["index"] for one in found["documents"]] == [0, 1, 2]
    assert [one["name"] for one in found["documents"]] == ["text", "pdf", "a"]
    assert found["documents"][1]["pages"] == 2
    assert [(one["index"], one["code"]) for one in found["rejected"]] == [
        (3, "too_complex"),
        (4, "invalid_text"),
    ]
    tokens = Tokens(input=found["input_tokens"], output=found["output_tokens"])
    assert found["output_share"] == 0.2
    assert Decimal(found["cost_usd"]) == registry.model("gpt-4.1").price.cost(tokens) > 0
    assert Decimal(found["cost_krw"]) == round(Decimal(found["cost_usd"]) * 1350, 2)
    assert (found["krw_per_usd"], found["krw_as_of"]) == ("1350", "2026-11-01")
    assert found["compared"] == []
    assert text not in json.dumps(found)


def test_output_is_expected_as_the_ledger_has_learned_it_of_this_tenant_and_model(
    send: Send, aws: Any
) -> None:
    for model, tokens in (("gpt-4.1", 700), ("gpt-4.1-nano", 10)):
        counted = ledger.worked(
            template.environment("EstimateFunction")["USAGE_TABLE"],
            TENANT,
            Operation.TRANSLATE,
            model,
            Tokens(input=1_000, output=tokens),
        )
        aws.meta.client.transact_write_items(TransactItems=[counted])
    body = {
        "operation": "translate",
        "model": "gpt-4.1",
        "documents": [{"text": SENTENCE}],
        "compare": True,
    }
    status, found = send(body)
    assert status == 200
    shares = {one["model"]: one["output_share"] for one in (found, *found["compared"])}
    assert shares["gpt-4.1"] == 0.7
    assert shares["gpt-4.1-nano"] == 0.01
    assert shares["deepseek-v3.2"] == 0.2
    assert found["output_tokens"] == round(found["input_tokens"] * 0.7)


def test_uploads_are_read_from_the_tenants_own_place_only(send: Send) -> None:
    mine = put(f"uploads/{TENANT}/a", pdf(["Page"]))
    theirs = put("uploads/other/a", pdf(["Page"]))
    status, found = send(
        {"operation": "classify", "documents": [{"upload": mine}, {"upload": theirs}]}
    )
    assert status == 200
    assert [one["pages"] for one in found["documents"]] == [1]
    assert [(one["index"], one["code"]) for one in found["rejected"]] == [(1, "upload_not_found")]


def test_an_upload_of_documents_is_estimated_line_by_line(send: Send) -> None:
    lines = [json.dumps({"text": SENTENCE}), "no JSON", json.dumps({"text": SENTENCE * 2})]
    upload = put(f"uploads/{TENANT}/b", "\n".join(lines).encode())
    status, found = send({"operation": "summarize", "upload": upload})
    assert status == 200
    assert [one["index"] for one in found["documents"]] == [0, 2]
    assert found["rejected"][0]["code"] == "invalid_json"
    long = put(f"uploads/{TENANT}/c", b'{"text": "x"}\n' * 1_001)
    status, found = send({"operation": "summarize", "upload": long})
    assert (status, found["error"]["code"]) == (413, "too_many_items")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"operation": "summarize", "documents": []}, "invalid_documents"),
        ({"operation": "sing", "documents": [{"text": "x"}]}, "invalid_operation"),
        (
            {"operation": "summarize", "model": "none", "documents": [{"text": "x"}]},
            "invalid_model",
        ),
        (
            {"operation": "summarize", "model": "rules", "documents": [{"text": "x"}]},
            "invalid_model",
        ),
        ({"operation": "extract", "documents": [{"text": "x"}]}, "invalid_body"),
    ],
)
def test_what_cannot_be_estimated_is_refused_by_name(send: Send, body: Any, code: str) -> None:
    status, found = send(body)
    assert (status, found["error"]["code"]) == (400, code)


def test_the_terms_are_the_deployments(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRW_PER_USD", "1400")
    monkeypatch.setenv("RATE_LIMITS", '{"gpt-4.1-nano": {"requests_per_minute": 1}}')
    reopen(estimate)
    status, found = send({"operation": "summarize", "documents": [{"text": SENTENCE}] * 3})
    assert status == 200
    assert found["krw_per_usd"] == "1400"
    assert found["model"] == Work(operation=Operation.SUMMARIZE, model="gpt-4.1-nano").model
    assert (found["bound_by"], found["seconds"]) == ("requests_per_minute", 185)
