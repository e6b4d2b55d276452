"""Models as data, through the handlers: put, seated, asked, deleted, probed."""

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from typing import Any

import boto3
import pytest
from quorum.aws import loop
from quorum.core.errors import ModelUnknown, PanelInvalid, StoreUnavailable
from quorum.core.model_entry import ModelEntry
from quorum.gateway import breaker
from quorum.gateway.fair_share import RateLimit
from quorum.gateway.models import MODEL, ModelLimits, Models
from quorum.ledger import ledger, listing
from quorum.vote import panel, telemetry
from quorum.vote.evaluation import AggregateRequest, Evaluation

from fakes.gateway import Fault, RecordedVotes, Scenario, StandIn, running
from functions.aggregate import app as aggregate
from functions.api import app as api
from functions.vote import app as vote
from tests import make
from tests.clock import Clock
from tests.functions.conftest import Ask, Faults, reopen
from tests.functions.test_panels import metric
from tests.functions.test_panels import put as put_parameter
from tests.unit.test_model_entry import LEAST, PRICE

TEXT = "what the stand-in has an opinion of"
ENTRY = LEAST | {"gateway_name": "gpt-4.1", "reply_format": "json_schema"}
OWN: dict[str, Any] = {
    "name": "own",
    "rounds": [["mine"]],
    "stop": "settled",
    "quorum": 1,
    "rule": {"kind": "majority"},
}

Put = Callable[..., tuple[int, Any]]


def at(name: str, tail: str = "") -> dict[str, Any]:
    return {"path": f"/models/{name}{tail}", "pathParameters": {"name": name}}


@pytest.fixture
def put(ask: Ask) -> Put:
    """Put a model as the deployment's operator."""

    def send(body: Any = ENTRY, name: str = "mine", **changes: Any) -> tuple[int, Any]:
        changes = {"role": "deployment_operator"} | changes
        return ask(body, name="put_model.json", **at(name), **changes)

    return send


@pytest.fixture
def delete(ask: Ask) -> Put:
    def send(name: str = "mine", **changes: Any) -> tuple[int, Any]:
        changes = {"role": "deployment_operator"} | changes
        return ask(name="delete_model.json", **at(name), **changes)

    return send


# ---- entries -------------------------------------------------------------------------------------


def test_a_model_that_was_put_is_listed_for_all_and_shown_whole_to_the_deployments_operator(
    put: Put, ask: Ask
) -> None:
    status, shown = put(ENTRY | {"description": "our own"})
    assert (status, shown["name"], shown["in_force"]) == (200, "mine", True)
    assert [one["version"] for one in shown["history"]] == [shown["version"]]
    _, listed = ask(name="get_models.json", role="member", tenant="another")
    (found,) = (one for one in listed["data"] if one["source"] == "deployment")
    assert (found["id"], found["gateway_name"], found["votes"]) == ("mine", "gpt-4.1", True)
    for role, sees in (("member", False), ("operator", False), ("deployment_operator", True)):
        _, one = ask(name="get_model.json", role=role, **at("mine"))
        assert one.get("entry") == (shown if sees else None)


def test_no_route_shows_a_base_url_or_a_key_to_tenants(
    put: Put, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALLOWED_MODEL_HOSTS", "models.example.com")
    assert put(ENTRY | {"base_url": "https://models.example.com/v1", "key": "mine-key"})[0] == 200
    for name, there in (("get_models.json", {}), ("get_model.json", at("mine"))):
        _, shown = ask(name=name, **there)
        assert "models.example.com" not in json.dumps(shown)
        assert "mine-key" not in json.dumps(shown)


def test_models_are_put_deleted_and_probed_by_the_deployments_operator_only(
    put: Put, delete: Put, ask: Ask
) -> None:
    put()
    for role in ("member", "operator"):
        for status, answer in (
            put(role=role),
            delete(role=role),
            ask({}, name="post_model_probe.json", role=role, **at("mine", "/probe")),
        ):
            code = "scope_missing" if role == "member" else "deployment_operators_only"
            assert (status, answer["error"]["code"]) == (403, code)


@pytest.mark.parametrize(
    ("body", "name", "code", "field"),
    [
        (ENTRY, "gpt-4.1", "model_packaged", "name"),
        (ENTRY, "deepseek-chat", "model_packaged", "name"),
        (ENTRY, "rules", "model_packaged", "name"),
        (ENTRY, "a name", "invalid_name", "name"),
        (ENTRY | {"base_url": "https://10.0.0.7/v1"}, "mine", "host_not_allowed", "base_url"),
        (ENTRY | {"base_url": "nowhere"}, "mine", "invalid_base_url", "base_url"),
        (ENTRY | {"context_window": 5}, "mine", "invalid_context_window", "context_window"),
        (
            ENTRY | {"price": PRICE | {"input": "-1"}},
            "mine",
            "invalid_price",
            "price.input",
        ),
        (
            ENTRY | {"request_fields": {"n": 2}},
            "mine",
            "invalid_request_fields",
            "request_fields.n",
        ),
    ],
    ids=str,
)
def test_an_entry_that_cannot_be_used_is_refused_with_its_field(
    put: Put, body: Any, name: str, code: str, field: str
) -> None:
    status, answer = put(body, name)
    assert status == 400
    assert (answer["error"]["code"], answer["error"]["field"]) == (code, field)


def test_an_entry_that_says_the_same_name_twice_is_refused_with_the_name(put: Put) -> None:
    twice = json.dumps(ENTRY)[:-1] + ', "gateway_name": "another"}'
    status, answer = put(None, raw=twice)
    assert (status, answer["error"]["code"]) == (400, "name_repeated")
    assert answer["error"]["field"] == "gateway_name"


def test_a_change_that_was_written_for_another_version_is_refused(put: Put, delete: Put) -> None:
    version = put()[1]["version"]
    changed = ENTRY | {"tokens_per_second": 61}
    for refused in (
        put(changed, headers={"If-Match": '"000000000000"'}),
        delete(headers={"If-Match": '"000000000000"'}),
        put(changed, "another", headers={"If-Match": "*"}),
    ):
        assert (refused[0], refused[1]["error"]["code"]) == (412, "model_changed")
    assert put(changed, headers={"If-Match": f'"{version}"'})[0] == 200


def test_a_deployment_has_a_limited_number_of_models(
    put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quorum.gateway.models.MODEL", MODEL._replace(limit=1))
    reopen(api)
    put()
    status, answer = put(ENTRY, "another")
    assert (status, answer["error"]["code"]) == (400, "too_many_models")


def test_a_model_is_not_deleted_while_a_panel_in_force_seats_it(
    put: Put, delete: Put, ask: Ask
) -> None:
    put()
    for parameter in ("panels/own", "tenants/acme/panels/own", "shadow/default"):
        put_parameter(f"/quorum/{parameter}", OWN)
    put_parameter("/quorum/panels/broken", "no JSON")
    put_parameter("/another/panels/own", OWN)
    status, answer = delete()
    assert (status, answer["error"]["code"], answer["error"]["field"]) == (
        409,
        "model_seated",
        "name",
    )
    seated = "panels/own, shadow/default, tenants/acme/panels/own"
    assert f"panels use mine: {seated};" in answer["error"]["message"]
    for parameter in ("panels/own", "tenants/acme/panels/own", "shadow/default"):
        boto3.client("ssm").delete_parameter(Name=f"/quorum/{parameter}")
    assert delete()[1]["in_force"] is False
    assert delete()[0] == 404
    assert ask(name="get_model.json", **at("mine"))[0] == 404


def test_a_chat_with_a_model_that_only_votes_is_refused_with_the_field(put: Put, ask: Ask) -> None:
    put()
    body = {"model": "mine", "messages": [{"role": "user", "content": "hello"}]}
    status, answer = ask(body, name="post_chat_completion.json")
    assert (status, answer["error"]["code"], answer["error"]["field"]) == (
        400,
        "invalid_model",
        "model",
    )


# ---- what is known of them -----------------------------------------------------------------------


@pytest.fixture
def models(aws: Any, clock: Clock) -> Models:
    return Models(aws, "ModelsTable", seconds=60, clock=clock)


def test_what_is_in_force_is_known_for_a_while_and_stays_known_in_an_outage(
    put: Put, models: Models, clock: Clock, faults: Faults
) -> None:
    with pytest.raises(ModelUnknown):
        models.model("mine")
    put()
    with pytest.raises(ModelUnknown):
        models.model("mine")
    clock.now += 61
    assert models.model("mine").gateway_name == "gpt-4.1"
    faults.fail("Query")
    clock.now += 61
    assert models.voters() >= {"mine", "gpt-4.1", "rules"}


def test_packaged_models_need_no_table(models: Models, faults: Faults) -> None:
    faults.fail("Query", "GetItem")
    assert models.model("gpt-4.1").name == "gpt-4.1"
    with pytest.raises(StoreUnavailable):
        models.model("mine")


def test_an_entrys_limits_hold_unless_the_deployment_says_otherwise(
    put: Put, models: Models
) -> None:
    put(ENTRY | {"requests_per_minute": 7})
    every = RateLimit(requests_per_minute=500, tokens_per_minute=9)
    limits = ModelLimits({"gpt-4.1": RateLimit(requests_per_minute=3)}, models, every)
    assert limits["mine"] == RateLimit(requests_per_minute=7, tokens_per_minute=9)
    assert limits["gpt-4.1"].requests_per_minute == 3
    assert limits.get("gpt-4.1-nano") is None
    assert limits.get("nobody") is None
    assert set(limits) == {"gpt-4.1", "mine"}
    listed = {"mine": RateLimit(requests_per_minute=1)}
    assert ModelLimits(listed, models, every)["mine"].requests_per_minute == 1


def test_a_panel_may_seat_a_model_once_it_was_put(
    put: Put, ask: Ask, cached: Callable[[Evaluation, str], None]
) -> None:
    put_parameter("/quorum/panels/own", OWN)
    status, answer = ask({"content": "a text", "panel": "own"})
    assert (status, answer["error"]["code"]) == (400, "invalid_panel")
    put()
    reopen(api)
    status, verdict = ask({"content": "a text", "panel": "own"})
    assert status == 200
    assert [one["voter"] for one in verdict["votes"]] == ["mine"]


# ---- votes ---------------------------------------------------------------------------------------


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    recorded = RecordedVotes({TEXT: {"gpt-4.1": "unsafe"}})
    with running(Scenario(), recorded=recorded) as one:
        yield one


@pytest.fixture
def seated() -> Callable[..., Evaluation]:
    def evaluation(**changes: Any) -> Evaluation:
        own = panel.load(OWN, voters=["mine"])
        return make.evaluation(TEXT, panel=own, deadline=4_102_444_800.0, **changes)

    return evaluation


@pytest.fixture
def asked(
    ask: Ask,
    within: Callable[[str], None],
    context: Any,
    stand_in: StandIn,
    seated: Callable[..., Evaluation],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., Any]]:
    """Ask the function that asks any model, whose deployment allows the stand-in's host."""
    monkeypatch.setenv("GATEWAY_BASE_URL", stand_in.base_url)
    monkeypatch.setenv("ALLOWED_MODEL_HOSTS", stand_in.base_url.removesuffix("/v1"))
    secret = json.dumps({"*": "sk-gateway", "mine-key": "sk-own"})
    boto3.client("secretsmanager").create_secret(Name="quorum/gateway", SecretString=secret)
    reopen(api)

    def send(name: str = "mine", **changes: Any) -> Any:
        within("AnyModelFunction")
        monkeypatch.setenv("GATEWAY_BASE_URL", stand_in.base_url)
        for variable, value in changes.pop("environment", {}).items():
            monkeypatch.setenv(variable, value)
        reopen(vote)
        evaluation = changes.pop("evaluation", None) or seated(**changes)
        event = {"evaluation": evaluation.model_dump(mode="json"), "voter": name}
        answer = vote.any_model(event, context)
        for client in (vote.app().gateway, *vars(vote.app().model_gateways)["_clients"].values()):
            loop.run(client.close())
        vote.app.cache_clear()
        return answer

    yield send
    vote.app.cache_clear()


def own_server(stand_in: StandIn, **changes: Any) -> dict[str, Any]:
    return ENTRY | {"base_url": stand_in.base_url} | changes


@pytest.mark.parametrize("own", [False, True], ids=["the gateway's", "its own server's"])
def test_a_model_votes_and_its_vote_is_booked_to_the_last_digit(
    put: Put, asked: Callable[..., Any], aws: Any, stand_in: StandIn, *, own: bool
) -> None:
    put(own_server(stand_in) if own else ENTRY)
    answer = asked()
    assert (answer["kind"], answer["voter"], answer["decision"]) == ("vote", "mine", "unsafe")
    price = ModelEntry.model_validate_json(json.dumps(ENTRY)).price
    cost = (
        answer["tokens"]["input"] * price.input + answer["tokens"]["output"] * price.output
    ) / Decimal(1_000_000)
    assert Decimal(answer["cost_usd"]) == cost > 0
    key = ledger.usage_key(ledger.today(), "mine", "acme")
    assert listing.counter(aws.meta.client, "UsageTable", key)["cost_usd"] == cost
    items = aws.Table("UsageTable").scan()["Items"]
    assert not [item for item in items if item["key"].startswith("intent#")]
    assert any(item["key"] == "bucket#mine" for item in items)
    assert asked(verdict_id="verdict-2")["cached"] is True
    assert stand_in.count.requests == 1


def test_a_model_that_vanished_abstains_with_the_reason(asked: Callable[..., Any]) -> None:
    answer = asked()
    assert (answer["kind"], answer["reason"]) == ("abstention", "model_unknown")


def test_a_host_that_is_no_longer_allowed_is_not_asked(
    put: Put, asked: Callable[..., Any], stand_in: StandIn
) -> None:
    put(own_server(stand_in))
    answer = asked(environment={"ALLOWED_MODEL_HOSTS": "models.example.com"})
    assert (answer["kind"], answer["reason"]) == ("abstention", "unavailable")
    assert "no longer allows the host" in answer["detail"]
    assert stand_in.count.requests == 0


def test_the_circuit_of_a_model_put_as_data_opens_for_every_environment_and_for_no_other_model(
    put: Put, asked: Callable[..., Any], stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_table = partial(breaker.in_table, failures=1)
    monkeypatch.setattr(breaker, "in_table", in_table)
    down = stand_in.scenario.model_copy(update={"rates": {Fault.UNAVAILABLE: 1.0}})
    good, stand_in.scenario = stand_in.scenario, down
    put(own_server(stand_in))
    put(own_server(stand_in), "other")
    assert (asked()["kind"], asked()["kind"]) == ("abstention", "abstention")
    stand_in.scenario = good
    before = stand_in.count.requests
    # Another environment, which has seen no failure of its own, does not ask the server.
    answer = asked(verdict_id="verdict-2")
    assert (answer["kind"], answer["reason"]) == ("abstention", "unavailable")
    assert stand_in.count.requests == before
    other = panel.load(OWN | {"rounds": [["other"]]}, voters=["other"])
    evaluation = make.evaluation(TEXT, panel=other, deadline=4_102_444_800.0)
    assert asked("other", evaluation=evaluation)["kind"] == "vote"


def test_a_key_that_the_secret_lacks_is_an_abstention(
    put: Put, asked: Callable[..., Any], stand_in: StandIn
) -> None:
    put(own_server(stand_in, key="no-such-key"))
    answer = asked()
    assert (answer["kind"], answer["reason"]) == ("abstention", "unavailable")
    assert "has no key" in answer["detail"]
    assert stand_in.count.requests == 0


@pytest.mark.parametrize(("key", "kind"), [("mine-key", "vote"), (None, "abstention")])
def test_a_server_of_a_models_own_gets_its_own_key_and_never_the_gateways(
    put: Put, asked: Callable[..., Any], stand_in: StandIn, key: str | None, kind: str
) -> None:
    other = {"sk-own": "ours"} if key else {"sk-gateway": "theirs"}
    stand_in.scenario = stand_in.scenario.model_copy(update={"keys": other})
    put(own_server(stand_in, **({"key": key} if key else {})))
    answer = asked()
    assert answer["kind"] == kind
    if not key:
        assert (answer["reason"], stand_in.count.requests) == ("gateway_rejected", 1)


@pytest.mark.parametrize("name", ["http://gateway.example.com/v1", "gateway.example.com"])
def test_a_key_that_is_stored_as_the_gateways_is_sent_to_no_other_server(
    put: Put,
    asked: Callable[..., Any],
    stand_in: StandIn,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    put(own_server(stand_in, key=name))  # before the deployment had that gateway
    gateway = {"GATEWAY_BASE_URL": "http://gateway.example.com/v1/"}
    answer = asked(environment=gateway)
    assert (answer["kind"], answer["reason"]) == ("abstention", "unavailable")
    assert "is the gateway's" in answer["detail"]
    assert stand_in.count.requests == 0
    for variable, value in gateway.items():
        monkeypatch.setenv(variable, value)
    reopen(api)
    status, refused = put(own_server(stand_in, key=name), "another")
    assert (status, refused["error"]["code"], refused["error"]["field"]) == (
        400,
        "invalid_key",
        "key",
    )


def test_the_votes_of_models_put_as_data_count_for_their_common_alarm(
    within: Callable[[str], None],
    aws: Any,
    context: Any,
    seated: Callable[..., Evaluation],
    capsys: pytest.CaptureFixture[str],
) -> None:
    within("AggregateFunction")
    reopen(aggregate)
    request = AggregateRequest(
        evaluation=seated(), votes=(make.cast("mine"),), voters=("mine",), round=1
    )
    aggregate.handler(request.model_dump(mode="json"), context)
    written = metric(capsys.readouterr().out, "AgreementWithVerdict")
    assert {line["voter"] for line in written} == {"mine", telemetry.ANY_MODEL}


# ---- probes --------------------------------------------------------------------------------------


def test_a_probe_says_what_the_model_can_do_and_is_booked(
    put: Put, asked: Callable[..., Any], ask: Ask, aws: Any, stand_in: StandIn
) -> None:
    put(own_server(stand_in, reply_format="instructions"))
    there = at("mine", "/probe") | {"role": "deployment_operator"}
    status, report = ask({}, name="post_model_probe.json", **there)
    assert status == 200
    assert [one["reply_format"] for one in report["replies"]] == [
        "json_schema",
        "json_object",
        "instructions",
    ]
    found = {name: report[name] for name in ("json_schema", "votes", "log_probabilities", "usage")}
    assert found == dict.fromkeys(found, True)
    assert report["advice"] == [
        "reply_format: json_schema is the strictest form that it keeps to",
        "gives_log_probabilities: true",
    ]
    key = ledger.usage_key(ledger.today(), "mine", "acme")
    item = listing.counter(aws.meta.client, "UsageTable", key)
    assert (item["calls"], item["cost_usd"]) == (3, Decimal(report["cost_usd"]))
    assert ask({}, name="post_model_probe.json", **there | at("nobody", "/probe"))[0] == 404


def test_a_probe_of_a_model_that_does_not_answer_says_so(
    put: Put, asked: Callable[..., Any], ask: Ask, stand_in: StandIn
) -> None:
    put(own_server(stand_in, gateway_name="gpt-9"))
    there = at("mine", "/probe") | {"role": "deployment_operator"}
    _, report = ask({}, name="post_model_probe.json", **there)
    assert (report["votes"], report["cost_usd"]) == (False, "0")
    assert report["advice"][0].startswith("the model does not answer: ")


def test_a_check_up_looks_for_a_model_at_its_own_server(
    put: Put, asked: Callable[..., Any], ask: Ask, stand_in: StandIn
) -> None:
    put(own_server(stand_in, gateway_name="gpt-4.1"))
    put_parameter("/quorum/panels/own", OWN)
    query = {"deep": "1", "panel": "own"}
    status, health = ask(name="get_health.json", queryStringParameters=query)
    assert status == 200
    gateway, own = health["gateway"]["base_urls"]
    assert own["models_found"] == ["mine"]
    assert "mine" not in gateway["models_found"]
    put(own_server(stand_in, gateway_name="gpt-9"))
    reopen(api)
    status, health = ask(name="get_health.json", queryStringParameters=query)
    assert status == 503
    assert health["gateway"]["base_urls"][1]["advice"].startswith("not served: mine")


def test_a_panel_that_seats_an_unknown_model_names_the_field() -> None:
    with pytest.raises(PanelInvalid) as refusal:
        panel.load(OWN)
    assert refusal.value.path == "rounds.0.0"


def test_a_policys_shadow_asks_a_panel_of_models_put_as_data(
    put: Put, ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    put()
    put_parameter("/quorum/panels/own", OWN)
    categories = {"gambling_ads": {"definition": "advertisements for gambling"}}
    for name, rules in (
        ("default", {"instructions": "Be kind."}),
        ("g", {"categories": categories}),
    ):
        there = {"path": f"/policies/{name}", "pathParameters": {"name": name}}
        assert ask(rules, name="put_policy.json", **there)[0] == 200
    there = {"path": "/policies/default/shadow", "pathParameters": {"name": "default"}}
    assert ask({"policy": "g"}, name="put_policy_shadow.json", **there)[0] == 200
    ask({"content": "a text", "panel": "own"})
    # The machine, which runs nowhere here, was started under both policies.
    assert caplog.messages.count("vote machine failed") == 2
    assert "policy shadow failed" not in caplog.messages
