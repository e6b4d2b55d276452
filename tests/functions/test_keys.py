"""Keys over HTTP: issued, listed, rotated and revoked; scopes, origins and limits."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from quorum.api.access import ACCESS
from quorum.audit.trail import AuditTrail
from quorum.aws import keys as keys_module
from quorum.aws.keys import Caller, Keys, hash_of
from quorum.core.errors import Conflict, StoreUnavailable
from quorum.core.scopes import SCOPES

from functions.api import app as api
from functions.authorize import app as authorize
from tests.clock import Clock
from tests.functions.conftest import Ask, Faults, reopen

Send = Callable[..., dict[str, Any]]
ORIGIN = "https://forum.example.com"
SWITCH = "drop_unsupported_attributes"


@pytest.fixture
def keys(aws: Any) -> Keys:
    return Keys(aws, "KeysTable", "KeyUseTable")


@pytest.fixture
def send(
    ask: Ask,
    within: Callable[[str], None],
    event: Callable[[str], dict[str, Any]],
    context: Any,
) -> Send:
    """Send a request with a key, through the authorizer; returns the answer with its headers.

    Raises `Unauthorized` for a key that is not known.
    """
    del ask  # the API function's environment

    def through(name: str, key: str, *, origin: str | None = None, **changes: Any) -> Any:
        headers = {"x-api-key": key} | ({"Origin": origin} if origin else {})
        request = event(name) | changes
        within("AuthorizeFunction")
        authorize.app.cache_clear()
        asked = event("authorize.json") | {"headers": headers, "queryStringParameters": None}
        policy = authorize.handler(asked, context)
        # API Gateway hands on text only.
        known = {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in policy["context"].items()
        }
        within("ApiFunction")
        request["headers"] |= headers
        request["requestContext"]["authorizer"] = known
        answer = api.handler(request, context)
        answer["body"] = json.loads(answer["body"])
        answer["headers"] = {n: v for n, (v,) in answer["multiValueHeaders"].items()}
        return answer

    return through


def at(key_id: str, end: str = "") -> dict[str, Any]:
    return {"path": f"/keys/{key_id}{end}", "pathParameters": {"key_id": key_id}}


ISSUING: dict[str, Any] = {"name": "shop", "scopes": ["moderate"]}


def issued(ask: Ask, **changes: Any) -> dict[str, Any]:
    request = ISSUING | changes
    status, answer = ask(request, name="post_key.json")
    assert status == 201, answer
    return dict(answer)


def test_an_issued_key_is_shown_once_and_listed_without_it(ask: Ask, aws: Any) -> None:
    new = issued(ask, requests_per_minute=60, requests_per_month=1000, allowed_origin=ORIGIN)
    assert new["key"].startswith(new["prefix"])
    assert new["id"] == hash_of(new["key"])[:12]
    status, answer = ask(name="get_keys.json")
    assert status == 200
    (listed,) = answer["keys"]
    assert listed == {name: value for name, value in new.items() if name != "key"}
    assert (listed["role"], listed["scopes"]) == ("member", ["moderate"])
    assert new["key"] not in str(aws.Table("KeysTable").scan()["Items"])


def test_a_key_opens_what_its_scopes_say_and_the_refusal_names_the_missing_one(
    send: Send, keys: Keys
) -> None:
    for scope in SCOPES:
        key = keys.issue(Caller(tenant="acme", role="operator", scopes=(scope,)))
        refused = send("get_reviews.json", key)["body"].get("error")
        if scope == "review":
            assert refused is None
        else:
            assert (refused["code"], refused["limit"]) == ("scope_missing", "review")
            assert "review" in refused["message"]


def test_a_scope_is_missing_before_the_request_is_read(send: Send, keys: Keys) -> None:
    key = keys.issue(Caller(tenant="acme", scopes=("chat",)))
    answer = send("post_verdict.json", key, body="{")
    assert (answer["statusCode"], answer["body"]["error"]["limit"]) == (403, "moderate")


def test_a_refusal_has_openais_form_where_its_clients_ask(send: Send, keys: Keys) -> None:
    key = keys.issue(Caller(tenant="acme", scopes=("chat",)))
    answer = send("post_moderation.json", key)
    assert answer["body"]["error"]["type"] == "permission_error"
    assert "moderate" in answer["body"]["error"]["message"]


def test_a_key_that_newer_code_stored_lets_nobody_in_and_holds_up_no_other(
    send: Send, keys: Keys, aws: Any
) -> None:
    key = keys.issue(Caller(tenant="acme", role="operator", name="console"))
    newer = {"key_hash": hash_of("qk_newer"), "tenant": "acme", "scopes": ["of.newer.code"]}
    aws.Table("KeysTable").put_item(Item=newer)
    with pytest.raises(StoreUnavailable):  # and not 401, which would say that it was revoked
        send("get_verdicts.json", "qk_newer")
    listed = send("get_keys.json", key)
    assert [one["name"] for one in listed["body"]["keys"]] == ["console"]
    assert [one.name for one in keys.stored()] == ["console"]


@pytest.mark.parametrize("role", ["member", "operator", "deployment_operator"])
def test_a_key_that_was_issued_without_scopes_may_what_its_role_may(
    send: Send, aws: Any, role: str
) -> None:
    aws.Table("KeysTable").put_item(
        Item={"key_hash": hash_of("qk_old"), "tenant": "acme", "role": role}
    )
    assert send("get_verdicts.json", "qk_old")["statusCode"] == 200
    expected = 403 if role == "member" else 200
    assert send("get_reviews.json", "qk_old")["statusCode"] == expected
    assert send("get_keys.json", "qk_old")["statusCode"] == expected


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["rule"]}, "scopes.0"),
        ({"requests_per_minute": 0}, "requests_per_minute"),
        ({"requests_per_minute": 60_001}, "requests_per_minute"),
        ({"name": " \u200b"}, "name"),
        ({"name": 7}, "name"),
        ({"requests_per_month": 1.5}, "requests_per_month"),
        ({"requests_per_month": "5"}, "requests_per_month"),
        ({"requests_per_minute": True}, "requests_per_minute"),
        ({"review_is_flagged": "yes"}, "review_is_flagged"),
        ({"review_is_flagged": 1}, "review_is_flagged"),
        ({"expires_at": 1_900_000_000}, "expires_at"),
        ({"expires_at": 1_900_000_000.5}, "expires_at"),
        ({"expires_at": "1900000000"}, "expires_at"),
        ({"expires_at": True}, "expires_at"),
        ({"allowed_origin": ORIGIN, "scopes": ["moderate", "operate"]}, "allowed_origin"),
        ({"allowed_origin": "*"}, "allowed_origin"),
        ({"panel": "../default"}, "panel"),
        ({"allowed_origin": "https://forum.example.com/path"}, "allowed_origin"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "2030-01-01T00:00:00"}, "expires_at"),
        ({"role": "deployment_operator"}, "role"),
    ],
)
def test_a_key_that_cannot_be_is_refused_with_its_field(
    ask: Ask, request_: dict[str, Any], field: str
) -> None:
    body = {"name": "shop", "scopes": ["moderate"]} | request_
    status, answer = ask(body, name="post_key.json")
    assert (status, answer["error"]["field"]) == (400, field)


def test_a_key_for_a_browser_has_no_operators_scope(ask: Ask) -> None:
    body = {"name": "shop", "scopes": ["moderate", "review"], "allowed_origin": ORIGIN}
    status, answer = ask(body, name="post_key.json")
    assert (status, answer["error"]["code"], answer["error"]["message"]) == (
        400,
        "invalid_allowed_origin",
        "allowed_origin: a key with review or operate cannot have one",
    )


def test_a_request_that_is_repeated_with_its_idempotency_key_issues_no_second_key(
    ask: Ask, keys: Keys, aws: Any
) -> None:
    body = {"name": "shop", "scopes": ["moderate"]}
    again = {"headers": {"Idempotency-Key": "once"}, "name": "post_key.json"}
    status, made = ask(body, **again)
    assert status == 201
    status, answer = ask(body, **again)
    assert (status, answer["error"]["code"]) == (409, "shown_once")
    assert made["id"] in answer["error"]["message"]
    assert [key.id for key in keys.of_tenant("acme")] == [made["id"]]
    assert made["key"] not in str(aws.Table("VerdictsTable").scan()["Items"])
    status, answer = ask(body | {"name": "other"}, **again)
    assert (status, answer["error"]["code"]) == (409, "idempotency_key_reused")


def test_a_rotation_that_is_repeated_with_its_idempotency_key_makes_one_key(
    ask: Ask, keys: Keys
) -> None:
    old = issued(ask)
    again: dict[str, Any] = at(old["id"], "/rotate") | {
        "headers": {"Idempotency-Key": "once"},
        "name": "post_key_rotation.json",
    }
    status, new = ask({"overlap_hours": 1}, **again)
    assert status == 201
    status, answer = ask({"overlap_hours": 1}, **again)
    assert (status, answer["error"]["code"]) == (409, "shown_once")
    assert {key.id for key in keys.of_tenant("acme")} == {old["id"], new["id"]}


@pytest.mark.parametrize("raw", ["", "{}"])
def test_a_key_is_rotated_at_once_without_a_body(ask: Ask, keys: Keys, raw: str) -> None:
    old = issued(ask)
    status, new = ask(raw=raw, name="post_key_rotation.json", **at(old["id"], "/rotate"))
    assert status == 201
    assert [key.id for key in keys.of_tenant("acme")] == [new["id"]]


def test_an_answer_with_a_secret_may_be_kept_by_nobody(send: Send, keys: Keys, event: Any) -> None:
    key = keys.issue(Caller(tenant="acme", role="operator"))
    headers = event("post_key.json")["headers"] | {"Idempotency-Key": "once"}
    body = json.dumps({"name": "shop", "scopes": ["moderate"]})
    answer = send("post_key.json", key, headers=headers, body=body)
    assert (answer["statusCode"], answer["headers"]["Cache-Control"]) == (201, "no-store")


def test_keys_with_other_settings_do_not_share_the_answer_to_an_idempotency_key(
    send: Send, keys: Keys, event: Any
) -> None:
    headers = event("post_moderation.json")["headers"] | {"Idempotency-Key": "once"}

    def moderated(**rights: Any) -> Any:
        key = keys.issue(Caller(tenant="acme", **rights))
        body = json.dumps({"input": "a text"})
        answer = send("post_moderation.json", key, headers=dict(headers), body=body)["body"]
        return answer["id"], answer["model"], answer["results"][0]["flagged"]

    first = moderated(panel="economy")
    assert first[1:] == ("economy", False)
    assert moderated(panel="embedded")[1] == "embedded"
    assert moderated(panel="economy", review_is_flagged=True)[1:] == ("economy", True)
    assert moderated(panel="economy") == first  # as after a rotation
    assert moderated()[0] == moderated()[0]


def test_a_key_gives_no_scope_that_it_does_not_have(ask: Ask) -> None:
    rights = {"scopes": "moderate operate"}
    body = {"name": "shop", "scopes": ["moderate", "chat"]}
    status, answer = ask(body, name="post_key.json", rights=rights)
    assert (status, answer["error"]["limit"]) == (403, "chat")
    old = issued(ask, scopes=["chat"])
    status, answer = ask(
        {}, name="post_key_rotation.json", rights=rights, **at(old["id"], "/rotate")
    )
    assert (status, answer["error"]["limit"]) == (403, "chat")


def test_a_key_of_the_deployments_operator_is_left_to_its_like(ask: Ask, keys: Keys) -> None:
    key = keys.issue(Caller(tenant="acme", role="deployment_operator"))
    there = hash_of(key)[:12]
    for name, end in (("delete_key.json", ""), ("post_key_rotation.json", "/rotate")):
        status, answer = ask(name=name, **at(there, end))
        assert (status, answer["error"]["code"]) == (403, "deployment_operators_only")
    assert keys.caller(key) is not None
    status, _ = ask(name="delete_key.json", role="deployment_operator", **at(there))
    assert status == 200


def test_a_revoked_key_is_unauthorized_at_once(send: Send, ask: Ask, keys: Keys) -> None:
    key = issued(ask, scopes=["batch"])
    assert send("get_verdicts.json", key["key"])["statusCode"] == 200
    status, revoked = ask(name="delete_key.json", **at(key["id"]))
    assert (status, revoked["id"]) == (200, key["id"])
    with pytest.raises(Exception, match="Unauthorized"):
        send("get_verdicts.json", key["key"])
    assert ask(name="delete_key.json", **at(key["id"]))[0] == 404
    assert keys.of_tenant("acme") == []


def test_an_expired_key_is_unauthorized(send: Send, keys: Keys) -> None:
    caller, now = Caller(tenant="acme"), datetime.now(UTC)
    assert send("get_verdicts.json", keys.issue(caller, expires_at=now + timedelta(hours=1)))
    with pytest.raises(Exception, match="Unauthorized"):
        send("get_verdicts.json", keys.issue(caller, expires_at=now - timedelta(seconds=1)))


def test_a_rotated_key_has_the_rights_of_the_old_one_which_ends(
    send: Send, ask: Ask, keys: Keys
) -> None:
    old = issued(ask, scopes=["batch"], requests_per_month=10, name="nightly", **{SWITCH: True})
    assert send("get_verdicts.json", old["key"])["statusCode"] == 200
    status, new = ask({}, name="post_key_rotation.json", **at(old["id"], "/rotate"))
    assert status == 201
    same = ("name", "scopes", "role", "requests_per_month", "expires_at", SWITCH)
    assert [new[name] for name in same] == [old[name] for name in same]
    assert new["requests_this_month"] == 1  # a new key is no way round a limit
    assert send("get_verdicts.json", new["key"])["headers"]["RateLimit-Remaining"] == "8"
    with pytest.raises(Exception, match="Unauthorized"):
        send("get_verdicts.json", old["key"])
    assert [key.id for key in keys.of_tenant("acme")] == [new["id"]]


def test_the_old_key_works_beside_the_new_one_as_long_as_was_asked(
    ask: Ask, aws: Any, clock: Clock
) -> None:
    keys = Keys(aws, "KeysTable", "KeyUseTable", clock=clock)
    old = keys.issue(Caller(tenant="acme"))
    (stored,) = keys.of_tenant("acme")
    new, _ = keys.rotate(stored, overlap=timedelta(hours=2))
    clock.now += 7_199
    assert keys.caller(old) == keys.caller(new) == Caller(tenant="acme")
    clock.now += 1
    assert keys.caller(old) is None
    assert keys.caller(new) is not None
    del ask


def test_a_key_that_is_being_replaced_is_not_replaced_again(ask: Ask) -> None:
    old = issued(ask)
    asked: dict[str, Any] = {"name": "post_key_rotation.json", **at(old["id"], "/rotate")}
    _, new = ask({"overlap_hours": 1}, **asked)
    for hours in (1, 0):  # the answer was lost, or somebody is in a hurry
        status, refused = ask({"overlap_hours": hours}, **asked)
        assert (status, refused["error"]["code"]) == (409, "key_replaced")
        assert new["id"] in refused["error"]["message"]
    listed = {key["id"]: key for key in ask(name="get_keys.json")[1]["keys"]}
    assert set(listed) == {old["id"], new["id"]}
    assert listed[old["id"]]["replaced_by"] == new["id"]
    assert (new["expires_at"], new["replaced_by"]) == (None, None)


def test_two_who_replace_a_key_at_once_do_not_both_succeed(ask: Ask, keys: Keys) -> None:
    issued(ask)
    (stored,) = keys.of_tenant("acme")
    keys.rotate(stored, overlap=timedelta(hours=1))
    with pytest.raises(Conflict, match="being replaced already"):
        keys.rotate(stored, overlap=timedelta(hours=1))  # as it was read before
    assert len(keys.of_tenant("acme")) == 2


def test_an_expired_key_is_not_replaced(ask: Ask, aws: Any, clock: Clock) -> None:
    keys = Keys(aws, "KeysTable", "KeyUseTable", clock=clock)
    at_end = datetime.fromtimestamp(clock.now + 60, UTC)
    keys.issue(Caller(tenant="acme"), expires_at=at_end)
    (stored,) = keys.of_tenant("acme")
    clock.now += 60
    with pytest.raises(Conflict, match="has expired"):
        keys.rotate(stored, overlap=timedelta())
    del ask


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://forum.example.com:443", "https://forum.example.com"),
        ("http://localhost:80", "http://localhost"),
        ("http://localhost:0080", "http://localhost"),
        ("http://localhost:443", "http://localhost:443"),
        ("https://forum.example.com:8443", "https://forum.example.com:8443"),
    ],
)
def test_an_origin_is_kept_as_browsers_send_it(ask: Ask, given: str, kept: str) -> None:
    assert issued(ask, allowed_origin=given)["allowed_origin"] == kept


@pytest.mark.parametrize(
    "origin",
    [
        "https://a.example:0",
        "https://a.example:65536",
        "https://a..b",
        "https://-a.b",
        "https://a./",
    ],
)
def test_an_origin_that_no_browser_sends_is_refused(ask: Ask, origin: str) -> None:
    status, refused = ask(ISSUING | {"allowed_origin": origin}, name="post_key.json")
    assert (status, refused["error"]["field"]) == (400, "allowed_origin")


@pytest.mark.parametrize("name", ["a\x00b", "a\u202eb", "a\nb", "a\u2028b", "a\u2066b"])
def test_a_name_that_would_look_like_another_is_refused(ask: Ask, name: str) -> None:
    status, refused = ask(ISSUING | {"name": name}, name="post_key.json")
    assert (status, refused["error"]["field"]) == (400, "name")


def test_what_is_done_to_keys_is_in_the_audit_trail_without_the_keys(ask: Ask) -> None:
    made = issued(ask)
    rotated = ask({}, name="post_key_rotation.json", **at(made["id"], "/rotate"))[1]
    assert ask(name="delete_key.json", **at(rotated["id"]))[0] == 200
    entries = ask(name="get_audit.json")[1]["entries"]
    assert [(entry["action"], entry["subject"]) for entry in entries] == [
        ("key.issued", f"key/{made['id']}"),
        ("key.changed", f"key/{made['id']}"),
        ("key.revoked", f"key/{rotated['id']}"),
    ]
    issuing, changing, revoking = entries
    assert issuing["after"]["scopes"] == ["moderate"]
    assert (changing["before"]["id"], changing["after"]["id"]) == (made["id"], rotated["id"])
    assert revoking["before"]["id"] == rotated["id"]
    assert made["key"] not in str(entries)


@pytest.mark.parametrize("what", ["issue", "rotate", "revoke"])
def test_a_key_is_not_changed_where_its_entry_cannot_be_written(
    ask: Ask, keys: Keys, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    there = issued(ask)

    def down(*_: Any) -> None:
        raise StoreUnavailable("down")

    monkeypatch.setattr(AuditTrail, "last", down)
    status, answer = {
        "issue": lambda: ask({"name": "x", "scopes": ["chat"]}, name="post_key.json"),
        "rotate": lambda: ask({}, name="post_key_rotation.json", **at(there["id"], "/rotate")),
        "revoke": lambda: ask(name="delete_key.json", **at(there["id"])),
    }[what]()
    assert (status, answer["error"]["code"]) == (503, "unavailable")
    assert [key.id for key in keys.of_tenant("acme")] == [there["id"]]
    assert keys.caller(there["key"]) is not None


def test_a_key_and_its_entry_are_one_transaction(ask: Ask, faults: Faults) -> None:
    made = issued(ask)
    rotated = ask({}, name="post_key_rotation.json", **at(made["id"], "/rotate"))[1]
    ask(name="delete_key.json", **at(rotated["id"]))
    written = [
        {next(iter(item.values()))["TableName"] for item in request["TransactItems"]}
        for request in faults.requests["TransactWriteItems"]
    ]
    assert written == [
        {"KeysTable", "AuditTable"},
        {"KeysTable", "AuditTable"},
        {"KeysTable", "KeyUseTable", "AuditTable"},
    ]


def test_the_panel_of_a_key_judges_where_a_request_names_none(send: Send, keys: Keys) -> None:
    key = keys.issue(Caller(tenant="acme", panel="economy"))

    def panel(name: str, **body: Any) -> Any:
        answer = send(name, key, body=json.dumps(body))["body"]
        return answer.get("panel") or answer.get("model") or answer

    assert panel("post_verdict.json", content="a text") == "economy"
    assert panel("post_verdict.json", content="a text", panel="embedded") == "embedded"
    assert panel("post_moderation.json", input="a text") == "economy"
    openais = "omni-moderation-latest"
    assert panel("post_moderation.json", input="a text", model=openais) == "economy"
    assert panel("post_moderation.json", input="a text", model="embedded") == "embedded"
    assert send("get_panels.json", key)["body"]["default"] == "economy"


def test_a_key_is_not_issued_for_a_panel_that_its_tenant_does_not_have(ask: Ask) -> None:
    status, answer = ask(
        {"name": "x", "scopes": ["moderate"], "panel": "embeded"}, name="post_key.json"
    )
    assert (status, answer["error"]["code"], answer["error"]["field"]) == (
        *(400, "invalid_panel", "panel"),
    )
    assert issued(ask, panel="embedded")["panel"] == "embedded"


def test_a_tenant_has_a_limit_of_keys(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys_module, "KEYS_LIMIT", 2)
    issued(ask)
    last = at(issued(ask)["id"], "/rotate")
    for body, name, changes in (
        ({"name": "x", "scopes": ["chat"]}, "post_key.json", {}),
        ({"overlap_hours": 1}, "post_key_rotation.json", last),
    ):
        status, answer = ask(body, name=name, **changes)
        error = answer["error"]
        assert (status, error["code"], error["limit"]) == (409, "too_many_keys", 2)
    assert ask({}, name="post_key_rotation.json", **last)[0] == 201  # one ends, one begins


def test_the_last_use_is_written_once_in_ten_minutes(
    send: Send, keys: Keys, faults: Faults
) -> None:
    key = keys.issue(Caller(tenant="acme"))
    for _ in range(3):  # each in a new environment
        send("get_verdicts.json", key)
    (stored,) = keys.of_tenant("acme")
    first = keys.use_of([stored])[stored.key_hash].last_used_at
    assert first is not None
    assert datetime.now(UTC) - first < timedelta(minutes=1)
    send("get_verdicts.json", key)
    assert keys.use_of([stored])[stored.key_hash].last_used_at == first
    before = len(faults.requests["UpdateItem"])
    for _ in range(3):  # in one environment
        keys.note_use(stored.key_hash)
    assert len(faults.requests["UpdateItem"]) == before + 1


def test_a_key_whose_use_cannot_be_written_still_works(
    send: Send, keys: Keys, faults: Faults
) -> None:
    key = keys.issue(Caller(tenant="acme"))
    faults.fail("UpdateItem")
    assert send("get_verdicts.json", key)["statusCode"] == 200


def test_answers_to_a_key_with_a_limit_say_what_is_left(send: Send, keys: Keys) -> None:
    key = keys.issue(Caller(tenant="acme", requests_per_minute=2))
    headers = send("get_verdicts.json", key)["headers"]
    assert headers["RateLimit-Limit"] == headers["X-RateLimit-Limit-Requests"] == "2"
    assert headers["RateLimit-Remaining"] == headers["X-RateLimit-Remaining-Requests"] == "1"
    assert headers["RateLimit-Reset"] == "30"
    assert headers["X-RateLimit-Reset-Requests"] == "30s"
    assert send("post_verdict.json", key, body="{}")["statusCode"] == 400  # counts, too
    refused = send("get_verdicts.json", key)
    assert refused["statusCode"] == 429
    assert refused["body"]["error"]["code"] == "rate_limited"
    assert 1 <= int(refused["headers"]["Retry-After"]) <= 30
    assert refused["headers"]["RateLimit-Remaining"] == "0"
    openai = send("post_moderation.json", key)
    assert openai["body"]["error"]["type"] == "rate_limit_error"
    assert "Retry-After" in openai["headers"]


def test_a_key_with_a_limit_gets_503_while_nothing_can_be_counted(
    send: Send, keys: Keys, faults: Faults
) -> None:
    limited = keys.issue(Caller(tenant="acme", requests_per_minute=2))
    free = keys.issue(Caller(tenant="acme"))
    faults.fail("UpdateItem")
    assert send("get_verdicts.json", limited)["statusCode"] == 503
    assert send("get_verdicts.json", free)["statusCode"] == 200


def test_a_key_with_an_origin_works_from_there_only_and_its_pages_may_read_the_answer(
    send: Send, keys: Keys
) -> None:
    key = keys.issue(Caller(tenant="acme", scopes=("batch",), allowed_origin=ORIGIN))
    answer = send("get_verdicts.json", key, origin=ORIGIN)
    assert answer["statusCode"] == 200
    assert answer["headers"]["Access-Control-Allow-Origin"] == ORIGIN
    assert answer["headers"]["Vary"] == "Origin"
    assert "Retry-After" in answer["headers"]["Access-Control-Expose-Headers"]
    broken = send("post_batch.json", key, origin=ORIGIN, body="{")
    assert broken["statusCode"] == 400
    assert broken["headers"]["Access-Control-Allow-Origin"] == ORIGIN
    for other in (None, "https://evil.example.com", f"{ORIGIN}.evil.example", "null"):
        refused = send("get_verdicts.json", key, origin=other)
        assert refused["body"]["error"]["code"] == "origin_not_allowed"
        assert "Access-Control-Allow-Origin" not in refused["headers"]


def test_a_key_without_an_origin_is_no_browsers(send: Send, keys: Keys) -> None:
    key = keys.issue(Caller(tenant="acme"))
    answer = send("get_verdicts.json", key, origin=ORIGIN)
    assert answer["statusCode"] == 200
    assert not [name for name in answer["headers"] if name.startswith("Access-Control")]


def test_a_key_that_a_browser_may_hold_reads_nothing_of_the_tenant(send: Send, keys: Keys) -> None:
    key = keys.issue(Caller(tenant="acme", scopes=("moderate",), allowed_origin=ORIGIN))
    for name in ("get_verdicts.json", "get_policies.json", "get_panels.json", "get_costs.json"):
        assert send(name, key, origin=ORIGIN)["statusCode"] == 403, name


def test_a_route_that_is_not_listed_is_served_to_nobody(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = {route: scopes for route, scopes in ACCESS.items() if route != "GET /models/{name}"}
    monkeypatch.setattr("quorum.api.admission.ACCESS", listed)
    status, answer = ask(name="get_model.json", role="deployment_operator")
    assert (status, answer["error"]["code"]) == (404, "no_such_route")
    reopen(api)
