"""OpenAI's and Google's own clients, unchanged, with keys that may little, no more, or not yet.

Their requests go through the authorizer and the API function without a network.
"""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httplib2
import httpx
import openai
import pytest
from googleapiclient.discovery import build_from_document
from googleapiclient.errors import HttpError
from quorum.aws.keys import Caller, Keys, hash_of
from quorum.core.errors import Unauthorized
from quorum.core.models import Content
from quorum.vote.panel import packaged
from quorum.vote.policy import DEFAULT

from functions.api import app as api
from functions.authorize import app as authorize
from tests import template
from tests.clock import Clock
from tests.functions.conftest import Ask

MODERATIONS, ANALYZE = "post_moderation.json", "analyze_comment.json"
Serve = Callable[..., tuple[int, dict[str, str], bytes]]
Analyze = Callable[..., Any]
BOT = Caller(tenant="acme", scopes=("moderate",), panel="embedded")
READER = Caller(tenant="acme", scopes=("batch",))
BODY = {"comment": {"text": "a text"}, "requestedAttributes": {"TOXICITY": {}}, "languages": ["en"]}


@pytest.fixture
def waits(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that clients wait, which pass at once."""
    found: list[float] = []

    def sleep(seconds: float) -> None:
        found.append(seconds)
        clock.now += seconds

    monkeypatch.setattr(time, "sleep", sleep)
    return found


@pytest.fixture
def keys(ask: Ask, aws: Any, clock: Clock) -> Keys:
    del ask  # the API function's environment
    api.app().clock = clock
    return Keys(aws, "KeysTable", "KeyUseTable", clock=clock)


def of_gateway(answer: str) -> bytes:
    """The body of an answer of API Gateway's own."""
    own = template.resources("AWS::Serverless::Api")["Api"]["GatewayResponses"][answer]
    body: str = own["ResponseTemplates"]["application/json"]
    return body.encode()


@pytest.fixture
def serve(
    keys: Keys,
    within: Callable[[str], None],
    event: Callable[[str], dict[str, Any]],
    context: Any,
    clock: Clock,
) -> Serve:
    """What API Gateway answers to a request with a key: by the authorizer, then by the function."""
    opened = api.app()
    unauthorized = of_gateway("UNAUTHORIZED")

    def through(
        name: str, body: str, headers: dict[str, str], query: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        request = event(name) | {"body": body, "queryStringParameters": query}
        request["headers"] |= headers
        asked = event("authorize.json")
        asked |= {"headers": headers, "queryStringParameters": query}
        asked["requestContext"]["resourcePath"] = request["resource"]
        within("AuthorizeFunction")
        authorize.app.cache_clear()
        authorize.app().clock = clock
        try:
            policy = authorize.handler(asked, context)
        except Unauthorized:
            return 401, {"content-type": "application/json"}, unauthorized
        within("ApiFunction")
        assert api.app() is opened
        # API Gateway hands on text only.
        request["requestContext"]["authorizer"] = {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in policy["context"].items()
        }
        answer = api.handler(request, context)
        told = {name: values[0] for name, values in answer["multiValueHeaders"].items()}
        return answer["statusCode"], told, answer["body"].encode()

    return through


@pytest.fixture
def known(keys: Keys, cached: Callable[..., None]) -> None:
    """The votes on the text that is asked about, so that nobody has to vote."""
    del keys  # the API function's environment
    for language in ("en", None):
        content = Content(text="a text", language=language)
        panel = packaged("embedded")
        evaluation = api.app().workflow.open("acme", content, panel, DEFAULT, "made-up")
        cached(evaluation, "unsafe", attribute_scores={"toxicity": 0.9})


def openais(serve: Serve, key: str, **options: Any) -> openai.OpenAI:
    """OpenAI's client with a key."""

    def answer(request: httpx.Request) -> httpx.Response:
        status, headers, body = serve(MODERATIONS, request.content.decode(), dict(request.headers))
        return httpx.Response(status, headers=headers, content=body)

    transport: Any = httpx.Client(transport=httpx.MockTransport(answer))
    base = "https://quorum.example/v1"
    return openai.OpenAI(base_url=base, api_key=key, http_client=transport, **options)


def test_openais_client_judges_with_a_key_that_may_nothing_else(
    serve: Serve, keys: Keys, known: None
) -> None:
    with openais(serve, keys.issue(BOT)) as client:
        answer = client.moderations.create(model="omni-moderation-latest", input="a text")
    assert (answer.model, answer.results[0].flagged) == ("embedded", True)


def test_openais_client_is_told_the_scope_that_its_key_lacks(serve: Serve, keys: Keys) -> None:
    with (
        openais(serve, keys.issue(READER)) as client,
        pytest.raises(
            openai.PermissionDeniedError, match="needs a key with the scope moderate"
        ) as refused,
    ):
        client.moderations.create(input="a text")
    assert (refused.value.code, refused.value.type) == ("scope_missing", "permission_error")


@pytest.mark.parametrize("end", ["expired", "revoked", "never issued"])
def test_openais_client_is_told_that_its_key_is_no_more(
    serve: Serve, keys: Keys, clock: Clock, end: str
) -> None:
    with (
        openais(serve, ended(keys, clock, end)) as client,
        pytest.raises(openai.AuthenticationError, match="send a known API key") as refused,
    ):
        client.moderations.create(input="a text")
    told = refused.value
    assert (told.code, told.type) == ("invalid_api_key", "invalid_request_error")
    assert isinstance(told.body, dict)
    assert "param" in told.body


@pytest.mark.parametrize(
    ("answer", "status", "error", "code", "kind"),
    [
        ("THROTTLED", 429, openai.RateLimitError, "throttled", "rate_limit_error"),
        ("WAF_FILTERED", 403, openai.PermissionDeniedError, "blocked", "permission_error"),
        ("DEFAULT_5XX", 504, openai.InternalServerError, "failed", "server_error"),
    ],
)
def test_openais_client_reads_what_api_gateway_answers_itself(
    answer: str, status: int, error: type[openai.APIStatusError], code: str, kind: str
) -> None:
    def refuse(_request: httpx.Request) -> httpx.Response:
        headers = {"content-type": "application/json"}
        return httpx.Response(status, headers=headers, content=of_gateway(answer))

    transport: Any = httpx.Client(transport=httpx.MockTransport(refuse))
    with (
        openai.OpenAI(
            base_url="https://quorum.example/v1",
            api_key="any",
            http_client=transport,
            max_retries=0,
        ) as client,
        pytest.raises(error) as refused,
    ):
        client.moderations.create(input="a text")
    assert (refused.value.code, refused.value.type) == (code, kind)
    assert refused.value.param is None


def test_openais_client_waits_as_long_as_a_limit_asks_and_is_answered(
    serve: Serve, keys: Keys, known: None, waits: list[float]
) -> None:
    limited = BOT.model_copy(update={"requests_per_minute": 2})
    with openais(serve, keys.issue(limited)) as client:
        for _ in range(3):
            assert client.moderations.create(input="a text").results[0].flagged
    assert waits == [30]


def test_openais_client_gives_up_where_a_limit_asks_for_days(
    serve: Serve, keys: Keys, known: None, waits: list[float]
) -> None:
    spent = BOT.model_copy(update={"requests_per_month": 1})
    with openais(serve, keys.issue(spent)) as client:
        client.moderations.create(input="a text")
        with pytest.raises(openai.RateLimitError) as refused:
            client.moderations.create(input="a text")
    assert (refused.value.code, refused.value.type) == ("monthly_limit_reached", "rate_limit_error")
    assert int(refused.value.response.headers["Retry-After"]) > 3_600
    assert sum(waits) < 60


# ---- Google's client ----


class Http:
    """What Google's client sends requests with."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve

    def request(self, uri: str, method: str, body: Any, headers: Any, **_: Any) -> Any:
        assert method == "POST"
        query = dict(httpx.URL(uri).params)
        status, told, found = self._serve(ANALYZE, body, dict(headers), query)
        return httplib2.Response({"status": str(status)} | told), found


@pytest.fixture
def analyze(serve: Serve, event: Callable[[str], dict[str, Any]], context: Any) -> Analyze:
    """Ask about a text with a key, by a client that is built from the discovery document."""
    document = json.loads(api.handler(event("get_discovery.json"), context)["body"])

    def ask_about_it(key: str, by: Serve = serve, **retries: int) -> Any:
        client = build_from_document(document, developerKey=key, http=Http(by))
        return client.comments().analyze(body=BODY).execute(**retries)

    return ask_about_it


def test_googles_client_judges_with_a_key_that_may_nothing_else(
    analyze: Analyze, keys: Keys, known: None
) -> None:
    answer = analyze(keys.issue(BOT))
    assert answer["attributeScores"]["TOXICITY"]["summaryScore"]["value"] == 0.9
    assert answer["quorum"]["panel"] == "embedded"


def test_googles_client_is_told_the_scope_that_its_key_lacks(analyze: Analyze, keys: Keys) -> None:
    with pytest.raises(HttpError, match="needs a key with the scope moderate") as refused:
        analyze(keys.issue(READER))
    assert refused.value.status_code == 403
    assert json.loads(refused.value.content)["error"]["status"] == "PERMISSION_DENIED"


@pytest.mark.parametrize("end", ["expired", "revoked", "never issued"])
def test_googles_client_is_told_that_its_key_is_no_more(
    analyze: Analyze, keys: Keys, clock: Clock, end: str
) -> None:
    with pytest.raises(HttpError, match="API key not valid") as refused:
        analyze(ended(keys, clock, end))
    assert refused.value.status_code == 400


def test_googles_client_is_told_of_a_limit_and_tries_again_if_it_may(
    analyze: Analyze, keys: Keys, known: None, waits: list[float]
) -> None:
    key = keys.issue(BOT.model_copy(update={"requests_per_minute": 20}))
    for _ in range(20):
        analyze(key)
    with pytest.raises(HttpError) as refused:
        analyze(key)
    told = json.loads(refused.value.content)["error"]
    assert (refused.value.status_code, told["status"]) == (429, "RESOURCE_EXHAUSTED")
    assert refused.value.resp["retry-after"] == "3"
    assert analyze(key, num_retries=9)["languages"] == ["en"]  # its own pauses, not Retry-After
    assert waits


def test_googles_client_reads_that_api_gateway_takes_no_more(analyze: Analyze) -> None:
    def refuse(*_request: Any) -> tuple[int, dict[str, str], bytes]:
        return 429, {"content-type": "application/json"}, of_gateway("THROTTLED")

    with pytest.raises(HttpError, match="more requests at once") as refused:
        analyze("any", by=refuse)
    told = json.loads(refused.value.content)["error"]
    assert (refused.value.status_code, told["status"]) == (429, "RESOURCE_EXHAUSTED")


def ended(keys: Keys, clock: Clock, how: str) -> str:
    """A key that opens nothing any more."""
    if how == "never issued":
        return "qk_" + "x" * 43
    expires_at = datetime.fromtimestamp(clock.now + 60, UTC) if how == "expired" else None
    key = keys.issue(BOT, expires_at=expires_at)
    clock.now += 61
    if how == "revoked":
        keys.revoke(hash_of(key))
    return key
