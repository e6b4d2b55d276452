"""The discovery document: it describes the routes, and Google's own client is built from it."""

import json
from typing import Any
from urllib.parse import parse_qsl

import httplib2
import pytest
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError
from quorum.routes.perspective import root_url
from quorum.vote import discovery, perspective

from functions.api import app as api
from tests import make, template
from tests.functions.conftest import Ask

NAME = "get_discovery.json"
ROOT = "https://a1.execute-api.us-east-1.amazonaws.com/v1/"


def discover(event: Any, context: Any, **query: str) -> tuple[int, Any]:
    """The answer to a request without a key, which no authorizer has seen."""
    found = api.handler(event(NAME) | {"queryStringParameters": query}, context)
    return found["statusCode"], json.loads(found["body"])


@pytest.mark.usefixtures("ask")
def test_the_document_names_the_address_under_which_it_was_asked_for(
    event: Any, context: Any
) -> None:
    status, answer = discover(event, context)
    assert status == 200
    assert (answer["rootUrl"], answer["servicePath"]) == (ROOT, "")
    assert answer["resources"]["comments"]["methods"].keys() == {"analyze", "suggestscore"}


@pytest.mark.parametrize(
    ("host", "path", "root"),
    [
        ("a1.example.com", "/v1/$discovery/rest", "https://a1.example.com/v1/"),
        ("perspective.example.org", "/$discovery/rest", "https://perspective.example.org/"),
        ("example.org", "/moderation/%24discovery/rest", "https://example.org/moderation/"),
    ],
)
def test_stage_and_base_path_are_the_requests_own(host: str, path: str, root: str) -> None:
    event = {"headers": {"Host": host}, "requestContext": {"path": path}}
    assert root_url(event, "") == root


def test_the_local_stacks_address_is_that_of_its_endpoint() -> None:
    context = {"path": "/v1/$discovery/rest", "apiId": "a1", "stage": "v1"}
    event = {"headers": {"host": "localhost:4566"}, "requestContext": context}
    found = root_url(event, "http://127.0.0.1:4566")
    assert found == "http://127.0.0.1:4566/_aws/execute-api/a1/v1/"


@pytest.mark.parametrize("version", ["v1", "v1alpha2"])
@pytest.mark.usefixtures("ask")
def test_another_version_is_not_found(event: Any, context: Any, version: str) -> None:
    status, answer = discover(event, context, version=version)
    assert (status, answer["error"]["status"]) == (404, "NOT_FOUND")


SCHEMAS: dict[str, Any] = {
    "AnalyzeCommentRequest": perspective.AnalyzeCommentRequest,
    "AnalyzeCommentResponse": perspective.AnalyzeCommentResponse,
    "SuggestCommentScoreRequest": perspective.SuggestCommentScoreRequest,
    "SuggestCommentScoreResponse": perspective.SuggestCommentScoreResponse,
    "TextEntry": perspective.Comment,
    "Context": perspective.CommentContext,
    "ArticleAndParentComment": perspective.ArticleAndParentComment,
    "AttributeParameters": perspective.AttributeParameters,
    "AttributeScores": perspective.AttributeScores,
    "SpanScore": perspective.SpanScore,
    "Score": perspective.Score,
    "Judged": perspective.Judged,
}


def test_the_schemas_have_the_fields_of_the_requests_and_answers() -> None:
    schemas: dict[str, Any] = discovery.document(ROOT).model_dump()["schemas"]
    assert schemas.keys() == SCHEMAS.keys()
    for name, model in SCHEMAS.items():
        fields = {field.alias or own for own, field in model.model_fields.items()}
        assert schemas[name]["properties"].keys() == fields, name


# ---- Google's client ----


class Http:
    """The transport of Google's client, whose requests reach the function without a network."""

    def __init__(self, event: Any, context: Any) -> None:
        self._event = event
        self._context = context
        self.addresses: list[str] = []

    def request(
        self, uri: str, method: str = "GET", body: Any = None, **_more: Any
    ) -> tuple[httplib2.Response, bytes]:
        self.addresses.append(uri)
        name = {
            "analyze": "analyze_comment.json",
            "suggestscore": "suggest_comment_score.json",
        }.get(uri.partition("?")[0].rpartition(":")[2], NAME)
        asked = self._event(name)
        query = dict(parse_qsl(uri.partition("?")[2]))
        found = api.handler(asked | {"body": body, "queryStringParameters": query}, self._context)
        status = {"status": found["statusCode"], "content-type": "application/json"}
        assert method == asked["httpMethod"]
        return httplib2.Response(status), found["body"].encode()

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def http(ask: Ask, event: Any, context: Any) -> Http:
    return Http(event, context)


@pytest.fixture
def client(http: Http) -> Any:
    """Google's client, unchanged."""
    return build(
        "commentanalyzer",
        "v1alpha1",
        developerKey="qk_made-up",
        discoveryServiceUrl=f"{ROOT}$discovery/rest?version=v1alpha1",
        static_discovery=False,
        http=http,
    )


def test_googles_client_gets_scores_and_errors(client: Any, http: Http, cached: Any) -> None:
    cached(
        make.evaluation("You are an idiot.", tenant="local"),
        *("unsafe",),
        confidence=0.9,
        scores={"harassment": 0.9},
    )
    body = {"comment": {"text": "You are an idiot."}, "requestedAttributes": {"TOXICITY": {}}}
    answer = client.comments().analyze(body=body).execute()
    assert answer["attributeScores"]["TOXICITY"]["summaryScore"]["value"] == pytest.approx(0.9)
    asked = http.addresses[-1]
    assert asked.startswith(f"{ROOT}v1alpha1/comments:analyze?")
    assert "key=qk_made-up" in asked
    scores = {"TOXICITY": {"summaryScore": {"value": 0.0}}}
    suggestion = {"comment": body["comment"], "attributeScores": scores, "clientToken": "mine"}
    assert client.comments().suggestscore(body=suggestion).execute()["clientToken"] == "mine"
    with pytest.raises(HttpError) as refused:
        client.comments().analyze(body=body | {"comment": {"text": ""}}).execute()
    assert refused.value.status_code == 400
    assert refused.value.reason == "Comment must be non-empty."
    assert refused.value.error_details[0]["errorType"] == "COMMENT_EMPTY"


class Gateway:
    """The transport of a request to an address that no route has: API Gateway answers."""

    routes = frozenset(
        one["Properties"]["Path"]
        for function in template.functions().values()
        for one in function.get("Events", {}).values()
        if one["Type"] == "Api"
    )

    def request(self, uri: str, **_sent: Any) -> tuple[httplib2.Response, bytes]:
        assert f"/{uri.removeprefix(ROOT)}" not in self.routes
        api = template.resources("AWS::Serverless::Api")["Api"]
        refusal = api["GatewayResponses"]["MISSING_AUTHENTICATION_TOKEN"]
        told = {"status": refusal["StatusCode"], "content-type": "application/json"}
        return httplib2.Response(told), refusal["ResponseTemplates"]["application/json"].encode()


def test_a_batch_of_googles_client_fails_clearly_because_there_is_no_such_route(
    client: Any, http: Http, event: Any, context: Any
) -> None:
    _, told = discover(event, context)
    assert "batchPath" not in told
    assert "/v1alpha1/comments:analyze" in Gateway.routes
    batch = client.new_batch_http_request()
    for text in ("one", "two"):
        body = {"comment": {"text": text}, "requestedAttributes": {"TOXICITY": {}}}
        batch.add(client.comments().analyze(body=body))
    with pytest.raises(HttpError) as refused:
        batch.execute(http=Gateway())
    assert refused.value.uri == f"{ROOT}batch"
    assert refused.value.status_code == 404
    assert refused.value.reason == "there is nothing at this address"
