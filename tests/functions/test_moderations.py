"""The route of OpenAI's moderations on moto: form, errors, roles, keys, and OpenAI's own client."""

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import pytest
from quorum.core.models import Category
from quorum.vote.evaluation import Evaluation

from functions.api import app as api
from tests import make
from tests.functions.conftest import Ask

ROUTE = "post_moderation.json"
DEEP = "[" * 100_000
ALL = {str(category) for category in Category}


def moderate(ask: Ask, given: Any, **how: Any) -> tuple[int, Any]:
    return ask({"input": given, "model": "default"}, name=ROUTE, **how)


def test_texts_are_answered_in_order_with_the_panel_that_judged(
    ask: Ask, cached: Callable[..., None]
) -> None:
    cached(make.evaluation("a threat"), "unsafe", scores={"violence": 0.9})
    cached(make.evaluation("a recipe"), "safe")
    status, answer = moderate(ask, ["a recipe", "a threat", "a recipe"])
    assert status == 200
    assert answer["model"] == "default"
    assert answer["id"].startswith("modr-")
    first, second, third = answer["results"]
    assert [one["flagged"] for one in answer["results"]] == [False, True, False]
    assert second["categories"].keys() == second["category_scores"].keys() == ALL
    assert second["category_applied_input_types"]["violence"] == ["text"]
    assert second["categories"]["violence"] is True
    assert second["category_scores"]["violence"] == 0.9
    assert second["quorum"]["decision"] == "unsafe"
    assert first == third


def test_the_verdict_of_a_result_is_read_by_its_tenant_only(
    ask: Ask, cached: Callable[..., None]
) -> None:
    cached(make.evaluation("a text"), "unsafe")
    _, answer = moderate(ask, "a text")
    explained = answer["results"][0]["quorum"]
    path = f"/verdicts/{explained['verdict_id']}"
    status, verdict = ask(name="get_verdict.json", path=path)
    assert (status, verdict["decision"], verdict["reason"]) == (
        *(200, "unsafe", explained["reason"]),
    )
    assert ask(name="get_verdict.json", path=path, tenant="other")[0] == 404


@pytest.mark.parametrize(("set_to", "flagged"), [(None, False), ("false", False), ("true", True)])
def test_a_review_is_flagged_as_the_key_says(
    ask: Ask, event: Any, set_to: str | None, *, flagged: bool
) -> None:
    context = event(ROUTE)["requestContext"]
    if set_to is not None:  # API Gateway turns what an authorizer says into text
        context["authorizer"]["review_is_flagged"] = set_to
    _, answer = moderate(ask, "a text", requestContext=context)
    (found,) = answer["results"]
    assert found["flagged"] is flagged
    assert found["quorum"]["decision"] == "needs_review"
    assert found["quorum"]["action"] == "review"
    assert "machine ended as FAILED" in found["quorum"]["reason"]


def test_a_member_may_moderate_and_a_repeated_request_is_answered_and_judged_once(
    ask: Ask, aws: Any
) -> None:
    key = {"Idempotency-Key": "once"}
    first = moderate(ask, ["a", "b"], headers=key, role="member")
    again = moderate(ask, ["a", "b"], headers=key, role="member")
    assert first == again
    stored = [item for item in aws.Table("VerdictsTable").scan()["Items"] if "verdict" in item]
    assert len(stored) == 2
    status, answer = moderate(ask, ["a", "c"], headers=key)
    assert (status, answer["error"]["code"]) == (409, "idempotency_key_reused")


BAD: dict[str, tuple[Any, str | None, str]] = {
    "no input": ({}, "input", "is missing"),
    "null": ({"input": None}, "input", "a list of texts"),
    "empty": ({"input": ""}, "input", "at least 1 character"),
    "nothing visible": ({"input": " \u200b"}, "input", "visible"),
    "too long": ({"input": "x" * 32_769}, "input", "32768"),
    "too long in a list": ({"input": ["x", "x" * 32_769]}, "input.1", "32768"),
    "too many tokens": ({"input": "\U000112c5" * 20_000}, "input", "32768"),
    "no texts": ({"input": []}, "input", "at least 1 entry"),
    "too many": ({"input": ["x"] * 101}, "input", "100"),
    "too much in all": ({"input": ["x" * 32_768] * 33}, "input", "1048576"),
    "a number": ({"input": 7}, "input", "a list of texts"),
    "tokens": ({"input": [1212, 318]}, "input.0", "must be a text"),
    "a list of lists": ({"input": [["x"]]}, "input.0", "must be a text"),
    "an image": (
        {"input": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]},
        *("input.0.type", "images cannot be judged"),
    ),
    "a part without text": ({"input": [{"type": "text"}]}, "input.0.text", "is missing"),
    "deep": ({"input": [[[[[[]]]]]]}, "input.0", "must be a text"),
    "no such panel": ({"input": "x", "model": "gpt-9"}, "model", "there is no panel 'gpt-9'"),
    "a model that is no name": ({"input": "x", "model": 7}, "model", "must be a text"),
    "a long model": ({"input": "x", "model": "m" * 65}, "model", "64"),
    "a surrogate as model": ({"input": "x", "model": "\ud800"}, "model", ""),
    "no such policy": ({"input": "x", "policy": "none"}, "policy", "none"),
    "a panel": ({"input": "x", "panel": "economy"}, "panel", "panel: there is no such field"),
    "an unknown field": ({"input": "x", "dimensions": 3}, "dimensions", "no such field"),
    "a surrogate as field": ({"input": "x", "\ud800": 3}, None, ""),
}


@pytest.mark.parametrize(("body", "param", "says"), BAD.values(), ids=BAD)
def test_a_bad_request_is_refused_in_openais_form_by_parameter_and_limit(
    ask: Ask, body: Any, param: str | None, says: str
) -> None:
    status, answer = ask(body, name=ROUTE)
    assert status == 400, answer
    assert answer["error"].keys() == {"message", "type", "param", "code"}
    assert answer["error"]["type"] == "invalid_request_error"
    assert answer["error"]["param"] == param
    assert says in answer["error"]["message"]
    assert len(json.dumps(answer)) < 1_000


@pytest.mark.parametrize(
    "raw",
    [DEEP, '{"input":' * 50_000, "NaN", "null", "", '{"input": "x",}', '["x"]', "\ufeff{}"],
    ids=lambda raw: raw[:9],
)
def test_a_body_that_is_no_request_is_refused_in_openais_form(ask: Ask, raw: str) -> None:
    status, answer = ask(raw=raw, name=ROUTE)
    assert status == 400, answer
    assert answer["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("route", [ROUTE, "post_verdict.json", "post_batch.json"])
def test_a_body_that_is_not_utf_8_is_a_400(ask: Ask, route: str) -> None:
    raw = base64.b64encode(b'{"input": "\xff\xfe"}').decode()
    status, answer = ask(raw=raw, name=route, isBase64Encoded=True)
    assert (status, answer["error"]["code"]) == (400, "invalid_json")
    assert "UTF-8" in answer["error"]["message"]


def test_a_body_that_is_too_large_is_refused_with_its_limit(ask: Ask) -> None:
    status, answer = ask(raw=json.dumps({"input": "x" * 5_000_000}), name=ROUTE)
    assert (status, answer["error"]["code"]) == (413, "body_too_large")
    assert "4194304" in answer["error"]["message"]
    assert "send fewer texts" in answer["error"]["message"]


def test_a_body_that_is_missing_lacks_its_fields(ask: Ask) -> None:
    status, answer = ask(raw="", name=ROUTE)
    assert (status, answer["error"]["code"]) == (400, "invalid_input")


def test_an_idempotency_key_that_is_none_has_a_code_like_every_other_field(ask: Ask) -> None:
    status, answer = moderate(ask, "a text", headers={"Idempotency-Key": "x" * 129})
    assert (status, answer["error"]["code"]) == (400, "invalid_idempotency_key")
    assert answer["error"]["param"] == "idempotency-key"


def test_other_routes_keep_their_form_of_errors(ask: Ask) -> None:
    _, answer = ask({"content": ""}, name="post_verdict.json")
    assert answer["error"].keys() == {"code", "message", "field", "limit"}


# ---- OpenAI's client ----


@pytest.fixture
def sdk(ask: Ask, event: Any, context: Any) -> Iterator[openai.OpenAI]:
    """OpenAI's client, unchanged, whose requests reach the function without a network."""

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/v1/moderations"
        assert request.headers["authorization"] == "Bearer qk_made_up"
        asked = event(ROUTE) | {"body": request.content.decode()}
        found = api.handler(asked, context)
        return httpx.Response(found["statusCode"], text=found["body"])

    transport: Any = httpx.Client(transport=httpx.MockTransport(answer))
    with openai.OpenAI(
        base_url="https://quorum.example/v1",
        api_key="qk_made_up",
        max_retries=0,
        http_client=transport,
    ) as client:
        yield client


def test_the_openai_client_reads_results_and_errors(
    sdk: openai.OpenAI, cached: Callable[[Evaluation, str], None]
) -> None:
    cached(make.evaluation("a text", tenant="local"), "unsafe")
    answer = sdk.moderations.create(input="a text", model="default")
    (result,) = answer.results
    assert result.flagged is True
    assert result.categories.self_harm_intent is False
    assert result.category_scores.sexual_minors == 0.0
    assert result.model_extra is not None
    assert result.model_extra["quorum"]["decision"] == "unsafe"
    parts: Any = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    assert len(sdk.moderations.create(input=parts).results) == 1
    assert len(sdk.moderations.create(input=["one", "two"]).results) == 2
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.moderations.create(input=["one", ""])
    assert (refused.value.param, refused.value.type) == ("input.1", "invalid_request_error")
    assert refused.value.code == "invalid_input"
