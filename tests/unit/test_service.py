"""A running Quorum as the command line sees it, over a transport."""

import io
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from quorum.vote.evaluation import conclude_without_votes
from quorum.vote.policy import DEFAULT

from cli.errors import CommandFailed, DeploymentRefused, DeploymentUnreachable
from cli.service import READS, Service
from tests import make

if TYPE_CHECKING:
    from collections.abc import Callable

VERDICT = conclude_without_votes(make.evaluation(), "nobody was asked", DEFAULT, now=make.NOW)


def service(status: int, body: object, seen: list[httpx.Request] | None = None) -> Service:
    def answer(request: httpx.Request) -> httpx.Response:
        if seen is not None:
            seen.append(request)
        return httpx.Response(status, json=body)

    transport = httpx.MockTransport(answer)
    return Service("https://quorum.example/v1", "qk_key", transport=transport, pause_seconds=0)


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
    error = {"code": "invalid_content", "message": "content: too long", "field": "content"}
    with pytest.raises(DeploymentRefused, match=r"Content: too long\.") as refused:
        service(400, {"error": error}).moderate("a text")
    assert refused.value.error == error
    assert refused.value.is_about("content")


def test_a_key_that_is_not_accepted_is_told_with_the_host() -> None:
    with pytest.raises(DeploymentRefused, match=r"quorum\.example answered 403: not you"):
        service(403, {"message": "not you"}).moderate("a text")


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_failure_of_the_service_is_a_deployment_that_cannot_be_reached(status: int) -> None:
    with pytest.raises(DeploymentUnreachable, match=str(status)):
        service(status, {"error": {"code": "unavailable"}}).moderate("a text")


def test_what_cannot_be_paid_twice_is_asked_again_and_anything_else_is_not() -> None:
    seen: list[httpx.Request] = []
    there = service(503, {}, seen)
    asks: list[Callable[[], Any]] = [
        lambda: there.get("batches/b1"),
        lambda: there.post("batches", {"items": []}),
    ]
    for ask in asks:
        seen.clear()
        with pytest.raises(DeploymentUnreachable):
            ask()
        assert len(seen) == READS
    assert len({request.headers["idempotency-key"] for request in seen}) == 1
    asks = [
        lambda: there.post("policies/p/try", {}),
        lambda: there.replace("policies/p", {}, {}),
        lambda: there.delete("policies/p"),
    ]
    for ask in asks:
        seen.clear()
        with pytest.raises(DeploymentUnreachable):
            ask()
        assert len(seen) == 1


def test_a_file_is_uploaded_whole_and_without_the_key() -> None:
    seen: list[httpx.Request] = []
    place = {"upload": "uploads/acme/1", "url": "https://bucket.example/put?sig=1"}
    assert service(200, place, seen).upload(io.BytesIO(b"lines")) == "uploads/acme/1"
    asked, request = seen
    assert (asked.url.path, asked.url.params["bytes"]) == ("/v1/batches/uploads", "5")
    assert (request.method, request.content) == ("PUT", b"lines")
    assert request.headers["content-length"] == "5"
    assert "x-api-key" not in request.headers


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (httpx.ConnectError("Connection refused"), "cannot be reached"),
        (httpx.ReadTimeout("slow"), "did not answer in time"),
        (httpx.RemoteProtocolError("gone"), "cannot be reached"),
    ],
)
def test_a_connection_that_fails_is_a_deployment_that_cannot_be_reached(
    failure: Exception, said: str
) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise failure

    there = Service("https://quorum.example", "k", transport=httpx.MockTransport(fail))
    with pytest.raises(DeploymentUnreachable, match=rf"quorum\.example {said}"):
        there.post("verdicts", {})


@pytest.mark.parametrize("body", [b"<html>Welcome</html>", b'{"hello": "world"}', b"[]"])
def test_another_service_at_that_url_is_named_as_such(body: bytes) -> None:
    def greet(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=body)

    there = Service("https://quorum.example", "k", transport=httpx.MockTransport(greet))
    with pytest.raises(CommandFailed, match="is not Quorum"):
        there.moderate("a text")


def test_a_verdict_that_is_not_there_yet_is_none() -> None:
    assert service(404, {"error": {}}).find("abc") is None
