"""A running Quorum as the command line sees it, over a transport."""

import json

import httpx
import pytest
import typer
from quorum.vote.evaluation import conclude_without_votes

from cli.service import Service, connect
from tests import make

VERDICT = conclude_without_votes(make.evaluation(), "nobody was asked", now=make.NOW)


def service(status: int, body: object, seen: list[httpx.Request] | None = None) -> Service:
    def answer(request: httpx.Request) -> httpx.Response:
        if seen is not None:
            seen.append(request)
        return httpx.Response(status, json=body)

    return Service("https://quorum.example/v1", "qk_key", transport=httpx.MockTransport(answer))


def test_a_text_is_sent_with_the_key_and_only_the_options_given() -> None:
    seen: list[httpx.Request] = []
    verdict = service(200, VERDICT.model_dump(mode="json"), seen).moderate(
        "a text", panel="embedded", language=None
    )
    assert verdict == VERDICT
    (request,) = seen
    assert str(request.url) == "https://quorum.example/v1/verdicts"
    assert request.headers["x-api-key"] == "qk_key"
    assert json.loads(request.content) == {"content": "a text", "panel": "embedded"}


def test_a_refusal_is_told_in_the_services_own_words() -> None:
    refusal = {"error": {"code": "invalid_content", "message": "content: too long"}}
    with pytest.raises(typer.BadParameter, match="content: too long"):
        service(400, refusal).moderate("a text")


def test_a_failure_of_the_service_is_an_error() -> None:
    with pytest.raises(httpx.HTTPStatusError):
        service(503, {"error": {"code": "unavailable"}}).moderate("a text")


def test_a_verdict_that_is_not_there_yet_is_none() -> None:
    assert service(404, {"error": {}}).find("abc") is None


def test_a_deployment_needs_its_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QUORUM_API_KEY", raising=False)
    with pytest.raises(typer.BadParameter, match="QUORUM_API_KEY"):
        connect("https://quorum.example")
