"""API key → tenant."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from quorum.aws.keys import Caller, Keys, hash_of

from functions.authorize import app as authorize

Authorize = Callable[..., dict[str, Any]]


@pytest.fixture
def key(aws: Any) -> str:
    return Keys(aws, "KeysTable", "KeyUseTable").issue(Caller(tenant="acme", role="operator"))


@pytest.fixture
def ask(
    aws: Any,
    within: Callable[[str], None],
    event: Callable[[str], dict[str, Any]],
    context: Any,
) -> Authorize:
    within("AuthorizeFunction")
    authorize.app.cache_clear()

    def send(
        headers: dict[str, str] | None = None, query: dict[str, str] | None = None
    ) -> dict[str, Any]:
        request = event("authorize.json")
        request |= {"headers": headers or {}, "queryStringParameters": query}
        return dict(authorize.handler(request, context))

    return send


def effect(policy: dict[str, Any]) -> str:
    return str(policy["policyDocument"]["Statement"][0]["Effect"])


def test_a_key_is_read_again_while_its_table_is_throttled(
    ask: Authorize, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer: Any = vars(BaseClient)["_make_api_call"]
    asked: list[str] = []

    def throttled(client: Any, operation: str, request: dict[str, Any]) -> Any:
        asked.append(operation)
        if asked.count("GetItem") <= 2 and operation == "GetItem":
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, operation)
        return answer(client, operation, request)

    monkeypatch.setattr(BaseClient, "_make_api_call", throttled)
    assert effect(ask({"x-api-key": key})) == "Allow"
    assert asked.count("GetItem") == 3


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"x-api-key": "{key}"}, None),
        ({"X-API-Key": "{key}"}, None),
        ({"x-goog-api-key": "{key}"}, None),
        ({"X-Goog-Api-Key": "{key}"}, {"alt": "json"}),
        ({"Authorization": "Bearer {key}"}, None),
        ({"authorization": "bearer {key}"}, {"page": "1"}),
        ({}, {"key": "{key}"}),
    ],
)
def test_a_known_key_is_taken_from_any_of_its_four_places(
    ask: Authorize, key: str, headers: dict[str, str], query: dict[str, str] | None
) -> None:
    policy = ask(
        {name: value.format(key=key) for name, value in headers.items()},
        query and {name: value.format(key=key) for name, value in query.items()},
    )
    assert effect(policy) == "Allow"
    assert policy["context"] == {
        "tenant": "acme",
        "role": "operator",
        "name": "",
        "review_is_flagged": False,
        "drop_unsupported_attributes": False,
        "key_hash": hash_of(key),
    }


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Basic abc"},
        {"authorization": "Bearer "},
        {"x-api-key": ""},
        {"x-api-key": "qk_wrong"},
        {"authorization": "Bearer qk_wrong"},
        {"authorization": "Bearer"},
        {"x-api-key": "\ud800"},
        {"x-api-key": "\x00"},
        {"x-api-key": "k" * 8_192},
    ],
)
def test_no_key_and_an_unknown_one_are_unauthorized(
    ask: Authorize, headers: dict[str, str]
) -> None:
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        ask(headers)


@pytest.mark.parametrize(
    ("query", "refused"), [({"key": "qk_wrong"}, "unknown"), (None, "missing")]
)
def test_routes_that_tell_it_as_google_does_get_requests_without_a_known_key_and_no_others(
    within: Callable[[str], None], event: Any, context: Any, aws: Any, query: Any, refused: str
) -> None:
    within("AuthorizeFunction")
    authorize.app.cache_clear()
    request = event("authorize.json") | {"headers": {}, "queryStringParameters": query}
    request["requestContext"]["resourcePath"] = "/v1alpha1/comments:analyze"
    policy = authorize.handler(request, context)
    (allowed,) = policy["policyDocument"]["Statement"]
    assert allowed["Effect"] == "Allow"
    assert [one.rpartition("local/")[2] for one in allowed["Resource"]] == ["v1/POST/v1alpha1/*"]
    assert policy["context"] == {"refused": refused}


def near(key: str) -> set[str]:
    """Three hundred guesses: one letter changed, missing or more, other cases, and its hash."""
    changed = {
        key[:at] + letter + key[at + 1 :]
        for at in range(len(key))
        for letter in "aZ0_-"
        if key[at] != letter
    }
    shorter = {key[:at] + key[at + 1 :] for at in range(len(key))}
    return (
        changed
        | shorter
        | {key + letter for letter in "aZ0_-"}
        | {key.upper(), key.lower(), key[::-1], key * 2, hash_of(key), hash_of(hash_of(key))}
    ) - {key}


def test_no_guess_near_a_key_is_let_in(ask: Authorize, key: str) -> None:
    guesses = sorted(near(key))
    assert len(guesses) > 200
    for guess in guesses:
        with pytest.raises(Exception, match=r"^Unauthorized$"):
            ask({"x-api-key": guess})
    assert effect(ask({"x-api-key": key})) == "Allow"


def test_a_key_is_stored_as_its_hash_only(aws: Any, key: str) -> None:
    stored = aws.Table("KeysTable").scan()["Items"]
    assert [item["key_hash"] for item in stored] == [hash_of(key)]
    assert key not in str(stored)
