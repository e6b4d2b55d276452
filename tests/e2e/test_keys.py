"""Keys on the deployed stack: issued, limited, sent by a browser, revoked; pages without one."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from quorum.aws.keys import Caller
from websockets.sync.client import connect

from local.state import Stack
from tests import openapi

ORIGIN = "https://forum.example.com"
PATIENCE_SECONDS = 60


@pytest.fixture
def operator(stack: Stack) -> str:
    return stack.new_key(Caller(tenant="keyed", role="operator"))


def send(
    stack: Stack, method: str, path: str, key: str, body: Any = None, **headers: str
) -> httpx.Response:
    return httpx.request(
        method,
        f"{stack.api}/{path}",
        json=body,
        headers={"x-api-key": key, **headers},
        timeout=PATIENCE_SECONDS,
    )


def issued(stack: Stack, operator: str, **rights: Any) -> dict[str, Any]:
    answer = send(stack, "POST", "keys", operator, {"name": "made", **rights})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_a_limit_holds_for_clients_at_once(stack: Stack, operator: str) -> None:
    key = issued(stack, operator, scopes=["batch"], requests_per_month=5)["key"]
    # Twenty at once are tried on moto: here each would have two processes of its own.
    with ThreadPoolExecutor(4) as clients:
        answers = list(clients.map(lambda _: send(stack, "GET", "panels", key), range(12)))
    assert sorted(one.status_code for one in answers) == [200] * 5 + [429] * 7
    for refused in (one for one in answers if one.status_code == 429):
        assert int(refused.headers["Retry-After"]) > 0
        assert refused.headers["RateLimit-Limit"] == "5"
    (listed,) = (
        one
        for one in send(stack, "GET", "keys", operator).json()["keys"]
        if key.startswith(one["prefix"])
    )
    assert listed["requests_this_month"] == 5
    assert listed["last_used_at"] is not None


def test_a_scope_an_origin_and_a_revocation_are_minded(stack: Stack, operator: str) -> None:
    new = issued(stack, operator, scopes=["moderate"], allowed_origin=ORIGIN)
    key = new["key"]
    preflight = httpx.options(
        f"{stack.api}/moderations",
        headers={"Origin": ORIGIN, "Access-Control-Request-Method": "POST"},
    )
    # MiniStack leaves out the headers of an answer that API Gateway makes itself; a contract test
    # holds them.
    assert preflight.status_code == 200
    judged = send(stack, "POST", "moderations", key, {"input": "Thanks."}, Origin=ORIGIN)
    assert judged.status_code == 200
    assert judged.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert send(stack, "POST", "moderations", key, {"input": "Thanks."}).status_code == 403
    refused = send(stack, "GET", "verdicts", key, Origin=ORIGIN)
    assert refused.json()["error"]["code"] == "scope_missing"
    assert send(stack, "DELETE", f"keys/{new['id']}", operator).status_code == 200
    assert send(stack, "GET", "health", key, Origin=ORIGIN).status_code == 401


def test_a_revoked_key_asks_nothing_more_on_a_chat_that_it_opened(
    stack: Stack, operator: str
) -> None:
    new = issued(stack, operator, scopes=["chat"])
    with connect(stack.chat, additional_headers={"x-api-key": new["key"]}) as chat:
        assert send(stack, "DELETE", f"keys/{new['id']}", operator).status_code == 200
        chat.send(json.dumps({"action": "chat", "prompt": "Hello?"}))
        told = json.loads(chat.recv(timeout=PATIENCE_SECONDS))
    assert (told["type"], told["code"]) == ("error", "invalid_api_key")


def test_the_description_and_its_page_need_no_key(stack: Stack) -> None:
    served = httpx.get(f"{stack.api}/openapi.json", timeout=PATIENCE_SECONDS)
    assert served.json() == openapi.described()
    page = httpx.get(f"{stack.api}/docs", timeout=PATIENCE_SECONDS)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    script = httpx.get(f"{stack.api}/docs/swagger-ui.js", timeout=PATIENCE_SECONDS)
    assert (script.status_code, len(script.text) > 1_000_000) == (200, True)


def test_a_key_may_come_as_googles_clients_send_it_and_a_misspelt_filter_is_refused(
    stack: Stack,
) -> None:
    key = stack.new_key(Caller(tenant="keyed", scopes=("batch",)))
    answer = httpx.get(
        f"{stack.api}/verdicts",
        params={"decison": "unsafe"},
        headers={"X-Goog-Api-Key": key},
        timeout=PATIENCE_SECONDS,
    )
    assert answer.status_code == 400, answer.text
    assert (answer.json()["error"]["code"], answer.json()["error"]["field"]) == (
        *("unknown_parameter", "decison"),
    )


def test_bytes_that_are_no_utf_8_are_what_api_gateway_makes_of_them(stack: Stack) -> None:
    key = stack.new_key(Caller(tenant="keyed", panel="embedded"))

    def post(body: bytes) -> httpx.Response:
        headers = {"x-api-key": key}
        url = f"{stack.api}/moderations"
        return httpx.post(url, content=body, headers=headers, timeout=PATIENCE_SECONDS)

    refused = post(b'{"input": \xff}')
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_json")
    as_sent, as_read = post(b'{"input": "a caf\xe9"}'), post('{"input": "a caf\ufffd"}'.encode())
    assert as_sent.status_code == as_read.status_code == 200
    # The same text: the second one is answered from the votes on the first.
    scores = [one.json()["results"][0]["category_scores"] for one in (as_sent, as_read)]
    assert scores[0] == scores[1]
