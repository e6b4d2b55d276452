"""Panels as a deployment has them, through the handlers: overrides, shadows, agreement."""

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from quorum.core import registry
from quorum.vote import panel, telemetry
from quorum.vote.evaluation import AggregateRequest, Evaluation

from fakes.gateway import Scenario, running
from functions.aggregate import app as aggregate
from functions.batch import app as batch
from tests import make, template
from tests.functions.conftest import Ask, reopen
from tests.unit.test_panels import voting


def put(parameter: str, document: Any) -> None:
    text = document if isinstance(document, str) else json.dumps(document)
    boto3.client("ssm").put_parameter(Name=parameter, Value=text, Type="String", Overwrite=True)


def test_a_tenants_own_panel_judges_its_content_and_is_on_the_verdict(
    ask: Ask, cached: Callable[[Evaluation, str], None]
) -> None:
    put("/quorum/tenants/acme/panels/default", voting("default"))
    cached(make.evaluation("a text"), "unsafe")
    cached(make.evaluation("a text", panel=panel.load(voting("default"))), "safe")
    _, verdict = ask({"content": "a text"})
    assert [vote["voter"] for vote in verdict["votes"]] == ["gpt-4.1-nano"]
    assert verdict["panel_version"] == panel.load(voting("default")).version
    _, another = ask({"content": "a text"}, tenant="other")
    assert another["panel_version"] == panel.packaged("default").version


def test_the_queue_judges_by_the_tenants_own_panel(
    aws: Any,
    within: Callable[[str], None],
    event: Callable[[str], Any],
    context: Any,
    cached: Callable[[Evaluation, str], None],
) -> None:
    within("BatchFunction")
    reopen(batch)
    put("/quorum/tenants/acme/panels/default", voting("default"))
    cached(make.evaluation("one", panel=panel.load(voting("default"))), "safe")
    record = event("batch.json")["Records"][0]
    body = json.dumps({"tenant": "acme", "content": "one"})
    answer = batch.handler({"Records": [record | {"body": body}]}, context)
    assert answer == {"batchItemFailures": []}
    items = aws.Table("VerdictsTable").scan()["Items"]
    (stored,) = (json.loads(item["verdict"]) for item in items if "verdict" in item)
    assert stored["panel_version"] == panel.load(voting("default")).version


def test_the_tenants_panels_are_listed_with_where_they_come_from(ask: Ask) -> None:
    put("/quorum/tenants/acme/panels/economy", voting("economy"))
    put("/quorum/panels/embedded", voting("embedded"))
    _, answer = ask(name="get_panels.json")
    assert {shown["name"]: shown["source"] for shown in answer["panels"]} == {
        "default": "packaged",
        "economy": "tenant",
        "embedded": "deployment",
    }


def test_a_deep_look_at_the_gateway_wants_the_models_of_overridden_panels_too(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("/quorum/tenants/acme/panels/economy", voting("economy"))
    with running(Scenario(missing_models=("gpt-4.1-nano",))) as stand_in:
        monkeypatch.setenv("GATEWAY_BASE_URL", stand_in.base_url)
        boto3.client("secretsmanager").create_secret(Name="quorum/gateway", SecretString="sk")
        deep = {"name": "get_health.json", "queryStringParameters": {"deep": "1"}}
        acme = ask(**deep)
        other = ask(**deep, tenant="other")
    assert (acme[0], acme[1]["panels"]) == (503, ["default", "economy"])
    assert "gpt-4.1-nano" in acme[1]["gateway"]["base_urls"][0]["advice"]
    assert (other[0], other[1]["panels"]) == (200, ["default"])


def test_a_panel_of_an_own_name_is_shown_by_its_name(ask: Ask) -> None:
    put("/quorum/tenants/acme/panels/comments", voting("comments"))
    named = {"name": "get_panels.json", "queryStringParameters": {"name": "comments"}}
    status, answer = ask(**named)
    assert status == 200
    (shown,) = answer["panels"]
    assert shown == panel.load(voting("comments")).document() | {
        "version": panel.load(voting("comments")).version,
        "source": "tenant",
    }
    status, answer = ask(**named, tenant="other")
    assert (status, answer["error"]["code"]) == (400, "invalid_panel")


def test_where_no_panel_can_be_read_the_answer_is_503(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", "http://127.0.0.1:9")
    status, answer = ask({"content": "a text"})
    assert (status, answer["error"]["code"]) == (503, "unavailable")


SHADOW = voting("candidate") | {
    "rounds": [["gpt-4.1"]],
    "rule": {"kind": "weighted", "weights": {"gpt-4.1": 1}},
}

Aggregate = Callable[..., dict[str, Any]]


@pytest.fixture
def decide(
    aws: Any, within: Callable[[str], None], context: Any, monkeypatch: pytest.MonkeyPatch
) -> Aggregate:
    """Aggregate an evaluation by the default panel on which gpt-4.1 alone says safe."""
    within("AggregateFunction")
    reopen(aggregate)
    monkeypatch.setattr(aggregate, "time", lambda: make.NOW + 2)

    def send(**changes: Any) -> dict[str, Any]:
        evaluation = make.evaluation(**changes)
        votes = [
            make.cast(voter, "safe" if voter == "gpt-4.1" else "unsafe")
            for voter in evaluation.panel.voters
        ]
        request = AggregateRequest(evaluation=evaluation, votes=tuple(votes), voters=(), round=2)
        answer = aggregate.handler(request.model_dump(mode="json"), context)
        verdict: dict[str, Any] = answer["verdict"]
        return verdict

    return send


def metric(output: str, name: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in output.splitlines() if line.startswith('{"_aws"')]
    return [line for line in lines if name in line]


def test_a_shadow_tallies_the_same_votes_and_is_only_recorded(
    decide: Aggregate, aws: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    without = decide(verdict_id="before")
    put("/quorum/shadow/default", SHADOW)
    reopen(aggregate)
    verdict = decide()
    assert verdict["shadow"] == {
        "panel": "candidate",
        "version": panel.load(SHADOW).version,
        "decision": "safe",
        "score": 0.0,
    }
    assert without["shadow"] is None
    own = {"id", "shadow"}
    assert {name: verdict[name] for name in verdict if name not in own} == {
        name: without[name] for name in without if name not in own
    }
    item = aws.Table("VerdictsTable").get_item(Key={"id": "verdict#acme#verdict-1"})["Item"]
    assert json.loads(item["verdict"])["shadow"] == verdict["shadow"]
    (counted,) = metric(capsys.readouterr().out, "ShadowDisagreement")
    assert (counted["ShadowDisagreement"], counted["panel"]) == ([1.0], "default")


def test_a_shadow_whose_voters_were_not_asked_concludes_without_them(decide: Aggregate) -> None:
    put("/quorum/shadow/default", voting("candidate"))
    assert decide()["shadow"]["decision"] == "needs_review"


@pytest.mark.parametrize("document", ["not JSON", {"name": "candidate"}, voting("x") | {"stop": 1}])
def test_a_bad_shadow_changes_nothing_for_the_case(decide: Aggregate, document: Any) -> None:
    put("/quorum/shadow/default", document)
    verdict = decide()
    assert (verdict["decision"], verdict["shadow"]) == ("unsafe", None)


def test_when_ssm_is_out_of_reach_the_case_is_settled_without_its_shadow(
    decide: Aggregate, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", "http://127.0.0.1:9")
    reopen(aggregate)
    verdict = decide()
    assert (verdict["decision"], verdict["shadow"]) == ("unsafe", None)
    assert metric(capsys.readouterr().out, "ShadowsFailed")


def test_each_voters_agreement_with_the_verdict_is_counted(
    decide: Aggregate, capsys: pytest.CaptureFixture[str]
) -> None:
    decide()
    counted = metric(capsys.readouterr().out, "AgreementWithVerdict")
    assert {line["voter"]: line["AgreementWithVerdict"] for line in counted} == {
        "gpt-4.1": [0.0],
        "gemini-2.5-flash": [1.0],
        "deepseek-v3.2": [1.0],
    }


def test_a_verdict_out_of_cached_votes_does_not_count_their_agreement_again(
    ask: Ask, cached: Callable[[Evaluation, str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    cached(make.evaluation("a text"), "unsafe")
    ask({"content": "a text"})
    assert metric(capsys.readouterr().out, "AgreementWithVerdict") == []


def test_every_voter_has_an_alarm_on_the_metric_that_is_really_written(
    decide: Aggregate, capsys: pytest.CaptureFixture[str]
) -> None:
    decide()
    written = metric(capsys.readouterr().out, "AgreementWithVerdict")
    by_voter = {line["voter"]: line for line in written}
    alarms = {
        dimensions["voter"]: (alarm, dimensions)
        for alarm in template.resources("AWS::CloudWatch::Alarm").values()
        if alarm.get("MetricName") == "AgreementWithVerdict"
        for dimensions in [{one["Name"]: one["Value"] for one in alarm["Dimensions"]}]
    }
    assert set(alarms) == {model.name for model in registry.voters()} | {telemetry.ANY_MODEL}
    for voter, line in by_voter.items():
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        alarm, dimensions = alarms[voter]
        assert directive["Namespace"] == template.physical(alarm["Namespace"])
        assert set(directive["Dimensions"][0]) == set(dimensions)
        assert {name: line[name] for name in dimensions} == dimensions


def test_the_alarm_on_refused_panels_watches_the_metric_that_is_really_written(
    decide: Aggregate, capsys: pytest.CaptureFixture[str]
) -> None:
    put("/quorum/shadow/default", "not JSON")
    decide()
    (line,) = metric(capsys.readouterr().out, "PanelsRefused")
    alarm = template.resources("AWS::CloudWatch::Alarm")["PanelsRefusedAlarm"]
    assert line["_aws"]["CloudWatchMetrics"][0]["Namespace"] == template.physical(
        alarm["Namespace"]
    )
    assert {line[one["Name"]] == one["Value"] for one in alarm["Dimensions"]} == {True}
