"""The HTTP routes on moto, with a vote machine that runs and fails."""

import json
from collections.abc import Callable
from time import time
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError
from openai.types import Model
from quorum.app.api import ApiContainer
from quorum.vote import panel, workflow
from quorum.vote.evaluation import Evaluation

from fakes.gateway import Scenario, running
from functions.api import app as api
from tests import make
from tests.clock import Clock
from tests.functions.conftest import Ask, Faults

LANGUAGE_TAG = r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8})*$"
"""The pattern of a language in a request."""


def test_cached_votes_that_settle_the_verdict_answer_without_the_machine(
    ask: Ask, cached: Callable[[Evaluation, str], None]
) -> None:
    cached(make.evaluation("a text"), "unsafe")
    status, verdict = ask({"content": "a text", "panel": "default"})
    assert status == 200
    assert verdict["decision"] == "unsafe"
    assert verdict["answered_from"] == "cache"
    assert verdict["calls"] == 0
    assert verdict["cost_usd"] == "0"
    assert verdict["saved_usd"] == "0.00384"
    assert all(vote["cached"] for vote in verdict["votes"])


def test_a_near_identical_content_shares_the_cached_votes(
    ask: Ask, cached: Callable[[Evaluation, str], None]
) -> None:
    cached(make.evaluation("a text"), "unsafe")
    _, verdict = ask({"content": "\u200ba   te\u00adxt\n", "panel": "default"})
    assert verdict["answered_from"] == "cache"


def test_one_tenants_cached_votes_do_not_answer_another_tenant(
    ask: Ask, cached: Callable[[Evaluation, str], None]
) -> None:
    cached(make.evaluation("a text"), "unsafe")
    _, verdict = ask({"content": "a text", "panel": "default"}, tenant="other")
    assert verdict["answered_from"] == "panel"


def test_a_verdict_is_stored_and_read_by_its_tenant_only(
    ask: Ask, cached: Callable[[Evaluation, str], None]
) -> None:
    cached(make.evaluation("a text"), "unsafe")
    _, verdict = ask({"content": "a text", "panel": "default", "id": "comment-1"})
    address = {
        "path": f"/verdicts/{verdict['id']}",
        "pathParameters": {"verdict_id": verdict["id"]},
        "name": "get_verdict.json",
    }
    assert ask(**address) == (200, verdict)
    status, answer = ask(**address, tenant="other")
    assert status == 404
    assert answer["error"]["code"] == "verdict_not_found"


class Unreliable:
    """A vote machine whose starts fail with `errors`, one after the other, and then run."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.starts = 0

    def start_sync_execution(self, **_given: Any) -> dict[str, str]:
        self.starts += 1
        if self.errors:
            raise self.errors.pop(0)
        return {"status": "FAILED", "error": "Made.Up"}


THROTTLED = ClientError({"Error": {"Code": "ThrottlingException"}}, "StartSyncExecution")
RESET = ConnectionClosedError(endpoint_url="https://sync-states.us-east-1.amazonaws.com")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Unreliable]:
    monkeypatch.setattr(workflow, "START_PAUSE_SECONDS", 0.001)

    def install(*errors: Exception) -> Unreliable:
        found = Unreliable(*errors)
        monkeypatch.setattr(ApiContainer, "step_functions", found)
        return found

    return install


@pytest.mark.parametrize("error", [THROTTLED, RESET], ids=["throttled", "reset"])
def test_a_start_that_is_throttled_or_reset_is_tried_again(
    ask: Ask, machine: Callable[..., Unreliable], error: Exception
) -> None:
    started = machine(error)
    assert ask({"content": "a text", "panel": "default"})[0] == 200
    assert started.starts == 2


@pytest.mark.parametrize("error", [THROTTLED, RESET], ids=["throttled", "reset"])
def test_a_machine_that_cannot_be_started_is_a_503_and_no_verdict_that_stays(
    ask: Ask, machine: Callable[..., Unreliable], aws: Any, error: Exception
) -> None:
    started = machine(*[error] * 9)
    key = {"Idempotency-Key": "once"}
    status, answer = ask({"content": "a text", "panel": "default"}, headers=key)
    assert (status, answer["error"]["code"]) == (503, "unavailable")
    assert started.starts == workflow.START_ATTEMPTS
    stored = aws.Table("VerdictsTable").scan()["Items"]
    assert not [item for item in stored if "verdict" in item]
    started.errors.clear()
    status, verdict = ask({"content": "a text", "panel": "default"}, headers=key)
    assert (status, verdict["decision"]) == (200, "needs_review")


def test_a_connection_lost_by_a_machine_that_runs_starts_no_other_with_too_little_time(
    ask: Ask, machine: Callable[..., Unreliable], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = machine(RESET, RESET)
    clock.now = time()
    monkeypatch.setattr(api.app().workflow, "_clock", clock)
    start = started.start_sync_execution

    def started_long_ago(**given: Any) -> dict[str, str]:
        clock.now += workflow.START_SECONDS + 1
        return start(**given)

    monkeypatch.setattr(started, "start_sync_execution", started_long_ago)
    assert ask({"content": "a text", "panel": "default"})[0] == 503
    assert started.starts == 1


def test_a_machine_that_does_not_answer_in_time_is_not_run_again(
    ask: Ask, machine: Callable[..., Unreliable]
) -> None:
    started = machine(ReadTimeoutError(endpoint_url="https://sync-states.us-east-1.amazonaws.com"))
    status, verdict = ask({"content": "a text", "panel": "default"})
    assert (status, verdict["decision"], started.starts) == (200, "needs_review", 1)


def test_when_the_machine_fails_the_verdict_is_needs_review_and_says_so(ask: Ask) -> None:
    status, verdict = ask({"content": "a text", "panel": "default"})
    assert status == 200
    assert verdict["decision"] == "needs_review"
    assert {vote["reason"] for vote in verdict["votes"]} == {"failed"}
    assert "machine" in verdict["votes"][0]["detail"]


def test_when_nothing_can_be_stored_the_answer_is_503(ask: Ask, aws: Any) -> None:
    aws.Table("VerdictsTable").delete()
    status, answer = ask({"content": "a text", "panel": "default"})
    assert status == 503
    assert answer["error"]["code"] == "unavailable"


def test_a_content_that_waits_for_a_person_is_kept_and_a_decided_one_is_not(
    ask: Ask, cached: Callable[[Evaluation, str], None], aws: Any
) -> None:
    def kept() -> list[str]:
        items = aws.Table("VerdictsTable").scan()["Items"]
        return [item["content"] for item in items if item["id"].startswith("content#")]

    cached(make.evaluation("decided"), "safe")
    ask({"content": "decided", "panel": "default"})
    assert kept() == []
    ask({"content": "undecided", "panel": "default"})
    assert kept() == ["undecided"]


@pytest.mark.parametrize(
    ("tag", "language"),
    [("de", "de"), ("de-AT", "de"), ("ko_KR", "ko"), ("EN", "en"), ("zh-Hant-TW", "zh")],
)
def test_a_language_may_be_given_as_browsers_give_it(ask: Ask, tag: str, language: str) -> None:
    assert ask({"content": "gg", "language": tag})[1]["language"] == language
    # Its letters are those of the default language only where that is written in Latin ones.
    default = language if language in ("de", "en") else None
    assert ask({"content": "gg", "default_language": tag})[1]["language"] == default


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("so nice \\ud83d", "so nice \ufffd"), ("\\ude00", "\ufffd"), ("\\ud83d\\ude00", "😀")],
)
def test_a_text_that_was_cut_inside_an_emoji_is_judged(
    ask: Ask, aws: Any, sent: str, kept: str
) -> None:
    status, _ = ask(raw=f'{{"content": "{sent}"}}')
    contents = [item.get("content") for item in aws.Table("VerdictsTable").scan()["Items"]]
    assert (status, kept in contents) == (200, True)


@pytest.mark.parametrize(
    ("given", "language"),
    [
        ({}, "en"),  # the template's
        ({"default_language": "en"}, "en"),
        ({"default_language": "ru"}, None),
        ({"default_language": "en", "language": "de"}, "de"),
    ],
)
def test_a_default_language_is_assumed_where_none_can_be_told(
    ask: Ask, given: dict[str, str], language: str | None
) -> None:
    _, verdict = ask({"content": "gg", "panel": "default"} | given)
    assert verdict["language"] == language


@pytest.mark.parametrize(
    ("body", "code", "field", "limit"),
    [
        ({}, "invalid_content", "content", None),
        ({"content": ""}, "invalid_content", "content", 1),
        ({"content": " \n\u200b"}, "invalid_content", "content", None),
        ({"content": "x" * 32_769}, "invalid_content", "content", 32_768),
        ({"content": "\ufdfa" * 32_768}, "invalid_content", "content", 32_768),
        ({"content": "𐍈" * 32_768}, "invalid_content", "content", 32_768),
        ({"content": 7}, "invalid_content", "content", None),
        ({"content": None}, "invalid_content", "content", None),
        ({"content": "x", "colour": "red"}, "unknown_field", "colour", None),
        ({"content": "x", "id": "a b"}, "invalid_id", "id", r"^[\w.:#@/-]+$"),
        ({"content": "x", "language": "English"}, "invalid_language", "language", LANGUAGE_TAG),
        (
            {"content": "x", "default_language": "en-"},
            "invalid_default_language",
            "default_language",
            LANGUAGE_TAG,
        ),
        ({"content": "x", "panel": "nobody"}, "invalid_panel", "panel", None),
        ({"content": "x", "metadata": {"a": {}}}, "invalid_metadata", "metadata.a", None),
        ({"content": "x", "metadata": {"a": "x" * 257}}, "invalid_metadata", "metadata.a", None),
        (
            {"content": "x", "metadata": {f"key{n}": n for n in range(21)}},
            "invalid_metadata",
            "metadata",
            20,
        ),
        ([], "invalid_body", "body", None),
    ],
)
def test_bad_input_is_a_400_that_names_the_field_and_the_limit(
    ask: Ask, body: Any, code: str, field: str, limit: Any
) -> None:
    status, answer = ask(body)
    assert status == 400
    error = answer["error"]
    assert (error["code"], error["field"], error.get("limit")) == (code, field, limit)
    assert error["message"]


def test_a_content_of_the_full_length_is_taken(ask: Ask) -> None:
    status, _ = ask({"content": "가" * 32_768})
    assert status == 200


@pytest.mark.parametrize("raw", ["not json", '{"content": "x"', ""])
def test_a_body_that_is_not_json_is_a_400(ask: Ask, raw: str) -> None:
    status, answer = ask(raw=raw)
    assert status == 400
    assert answer["error"]["field"] in ("body", "content")


def test_a_body_nested_too_deeply_is_a_400(ask: Ask) -> None:
    status, answer = ask(raw="[" * 100_000)
    assert status == 400
    assert answer["error"]["code"] == "invalid_json"


def test_an_idempotency_key_answers_a_repeated_post_with_the_first_verdict(ask: Ask) -> None:
    key = {"Idempotency-Key": "order-1"}
    _, first = ask({"content": "a text"}, headers=key)
    _, again = ask({"content": "a text"}, headers=key)
    _, another = ask({"content": "a text"})
    assert again == first
    assert another["id"] != first["id"]


def test_an_idempotency_key_of_another_tenant_is_another_key(ask: Ask) -> None:
    key = {"Idempotency-Key": "order-1"}
    _, first = ask({"content": "a text"}, headers=key)
    _, other = ask({"content": "a text"}, headers=key, tenant="other")
    assert other["id"] != first["id"]


def test_an_idempotency_key_with_another_body_is_a_409(ask: Ask) -> None:
    key = {"Idempotency-Key": "order-1"}
    ask({"content": "a text"}, headers=key)
    status, answer = ask({"content": "another text"}, headers=key)
    assert status == 409
    assert answer["error"]["code"] == "idempotency_key_reused"


@pytest.mark.parametrize("body", [{"content": "a text", "panel": None}, {"content": " a text"}])
def test_an_idempotency_key_is_of_a_request_as_it_was_sent(ask: Ask, body: Any) -> None:
    key = {"Idempotency-Key": "order-1"}
    assert ask({"content": "a text"}, headers=key)[0] == 200
    status, answer = ask(body, headers=key)
    assert (status, answer["error"]["code"]) == (409, "idempotency_key_reused")


def test_a_body_that_is_a_list_is_a_400(ask: Ask) -> None:
    status, answer = ask([{"content": "a text"}])
    assert (status, answer["error"]["code"]) == (400, "invalid_body")


def test_the_panels_are_listed_with_their_versions(ask: Ask) -> None:
    status, answer = ask(name="get_panels.json")
    assert status == 200
    assert {shown["name"]: shown["version"] for shown in answer["panels"]} == {
        name: panel.packaged(name).version for name in panel.PACKAGED
    }


def test_the_languages_are_listed_with_who_decides_and_how_well(ask: Ask) -> None:
    status, answer = ask(name="get_languages.json")
    assert (status, answer["panel_version"]) == (200, panel.packaged("embedded").version)
    shown = {one["language"]: one for one in answer["languages"]}
    assert shown["en"]["voters"] == ["rules", "characters", "meaning"]
    assert shown["en"]["decided_by"] == "panel"
    assert shown["en"]["trained_for"]["right"] > 0.94
    assert shown["hi"]["trained_for"]["unsafe_passed_as_safe"] == 0
    assert shown["id"]["decided_by"] == "person"


def test_the_models_are_listed_with_exact_prices(ask: Ask) -> None:
    status, answer = ask(name="get_models.json")
    assert status == 200
    prices = {model["name"]: model["price"]["input"] for model in answer["data"]}
    assert prices["gpt-4.1"] == "2.00"


def test_the_models_are_listed_in_the_form_of_the_openai_api(ask: Ask) -> None:
    _, answer = ask(name="get_models.json")
    assert answer["object"] == "list"
    for listed in answer["data"]:
        read = Model.model_validate(listed, strict=True)
        assert (read.object, read.created > 0, bool(read.owned_by)) == ("model", True, True)
        assert ask(name="get_model.json", pathParameters={"name": read.id},
                   path=f"/models/{read.id}") == (200, listed)  # fmt: skip


def test_a_model_is_found_by_an_alias_and_an_unknown_one_is_not_found(ask: Ask) -> None:
    _, known = ask(name="get_model.json", path="/models/deepseek-chat")
    assert known["id"] == "deepseek-v3.2"
    status, answer = ask(name="get_model.json", path="/models/gpt-9")
    assert (status, answer["error"]["code"]) == (404, "model_not_found")


def test_a_deep_look_at_the_gateway_takes_an_operators_key(ask: Ask) -> None:
    status, answer = ask(name="get_health.json", queryStringParameters={"deep": "1"}, role="member")
    assert status == 403
    assert answer["error"]["code"] == "scope_missing"


def test_a_deep_look_says_how_the_gateway_is_and_books_what_it_cost(
    ask: Ask, aws: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(Scenario()) as stand_in:
        monkeypatch.setenv("GATEWAY_BASE_URL", stand_in.base_url)
        boto3.client("secretsmanager").create_secret(Name="quorum/gateway", SecretString="sk")
        query = {"deep": "1"}
        status, answer = ask(name="get_health.json", queryStringParameters=query)
        cost = stand_in.count.cost_usd
    assert status == 200
    assert stand_in.base_url not in json.dumps(answer)  # the deployment's affair
    (base,) = answer["gateway"]["base_urls"]
    assert (base["url"], base["key"]) == (None, "valid")
    assert base["key_source"] == "the deployment's secret"  # and not which
    assert base["first_token_ms"] is not None
    booked = aws.Table("UsageTable").scan()["Items"]
    # the day of the model and the tenant, the tenant's day and everybody's
    assert sorted(item["key"].partition("#")[0] for item in booked) == ["spent", "spent", "usage"]
    assert {item["cost_usd"] for item in booked} == {cost}
    assert cost > 0


@pytest.mark.parametrize(
    ("missing", "panel", "status", "panels"),
    [
        # deepseek-coder and claude are on no panel in force; gpt-4.1 is on the default one.
        (("deepseek-coder", "claude-sonnet-4.5"), None, 200, ["default"]),
        (("gpt-4.1",), None, 503, ["default"]),
        (("gpt-4.1",), "embedded", 200, ["embedded"]),
    ],
)
def test_the_gateway_is_well_if_it_serves_what_the_panels_in_force_ask(
    ask: Ask,
    monkeypatch: pytest.MonkeyPatch,
    missing: tuple[str, ...],
    panel: str | None,
    status: int,
    panels: list[str],
) -> None:
    query = {"deep": "1"} | ({} if panel is None else {"panel": panel})
    with running(Scenario(missing_models=missing)) as stand_in:
        monkeypatch.setenv("GATEWAY_BASE_URL", stand_in.base_url)
        boto3.client("secretsmanager").create_secret(Name="quorum/gateway", SecretString="sk")
        answered, answer = ask(name="get_health.json", queryStringParameters=query)
    assert (answered, answer["panels"]) == (status, panels)
    (base,) = answer["gateway"]["base_urls"]
    assert base["models_missing"] == list(missing)
    assert ("gpt-4.1" in base["advice"]) is (status == 503)


@pytest.mark.parametrize("fault", ["key", "path", "nobody"])
def test_the_deployments_operator_alone_is_told_the_gateways_address_whatever_is_wrong(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    boto3.client("secretsmanager").create_secret(Name="quorum/gateway", SecretString="sk")
    with running(Scenario(keys={"sk-another": "x"} if fault == "key" else {})) as stand_in:
        address = {
            "key": stand_in.base_url,
            "path": f"{stand_in.base_url}/nothing",
            "nobody": "http://127.0.0.1:9/v1",
        }[fault]
        monkeypatch.setenv("GATEWAY_BASE_URL", address)
        query = {"deep": "1"}
        _, told = ask(name="get_health.json", queryStringParameters=query)
        _, whole = ask(
            name="get_health.json", queryStringParameters=query, role="deployment_operator"
        )
    assert "127.0.0.1" not in json.dumps(told)
    (base,) = whole["gateway"]["base_urls"]
    assert base["url"] == address
    assert base["advice"] == told["gateway"]["base_urls"][0]["advice"] != ""


@pytest.mark.parametrize("mapped", ["/v1", "/moderation/v1", "/v1/verdicts", ""])
def test_a_domain_of_ones_own_may_have_anything_before_the_apis_paths(
    ask: Ask, cached: Callable[[Evaluation, str], None], mapped: str
) -> None:
    cached(make.evaluation("a text"), "unsafe")
    _, verdict = ask({"content": "a text", "panel": "default"})
    resource = "/verdicts/{verdict_id}"
    path = f"{mapped}/verdicts/{verdict['id']}"
    request = {
        "resource": resource,
        "path": path,
        "requestContext": {
            "path": path,
            "resourcePath": resource,
            "authorizer": {"tenant": "acme", "role": "member"},
        },
        "pathParameters": {"verdict_id": verdict["id"]},
    }
    assert ask(name="get_verdict.json", **request) == (200, verdict)


def test_an_address_nobody_knows_is_a_404(ask: Ask) -> None:
    status, answer = ask(name="get_health.json", path="/nowhere", resource="/nowhere")
    assert status == 404
    assert answer["error"]["code"] == "no_such_route"


@pytest.mark.parametrize("verdict_id", ["x" * 129, "x" * 3_000, "가" * 1_000, "a b"])
@pytest.mark.parametrize("route", ["get_verdict", "post_review"])
def test_an_id_that_no_record_can_have_is_a_404_and_looked_for_nowhere(
    ask: Ask, faults: Faults, route: str, verdict_id: str
) -> None:
    faults.fail("GetItem", "BatchGetItem")
    end = "/review" if route == "post_review" else ""
    status, answer = ask(
        name=f"{route}.json",
        path=f"/verdicts/{verdict_id}{end}",
        pathParameters={"verdict_id": verdict_id},
    )
    assert (status, answer["error"]["code"]) == (404, "verdict_not_found")


def test_the_content_is_in_no_log(ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    ask({"content": "a very particular text"})
    ask({"content": "a very particular text", "colour": "very particular"})
    written = capsys.readouterr()
    assert "verdict" in written.out
    assert "particular" not in written.out + written.err
