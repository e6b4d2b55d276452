"""Agreement of alarms, their topic, the runbook, the dashboard and the metrics that are written."""

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests import template
from tests.template import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

ALARMS = template.resources("AWS::CloudWatch::Alarm")
OWN_NAMESPACE = {"Fn::Sub": "Quorum/${AWS::StackName}"}
WRITTEN = {
    name
    for file in (ROOT / "layers/quorum/python/quorum").rglob("telemetry.py")
    for name in re.findall(r'"([A-Z][A-Za-z]+)"', file.read_text())
}
"""The names of metrics in the code."""


def metrics_of(alarm: dict[str, Any]) -> "Iterator[dict[str, Any]]":
    """Namespace, name and dimensions of each metric that an alarm watches."""
    for metric in alarm.get("Metrics", []):
        if "MetricStat" in metric:
            yield metric["MetricStat"]["Metric"]
    if "MetricName" in alarm:
        yield alarm


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_is_sent_to_the_topic_of_alerts(name: str) -> None:
    assert ALARMS[name]["AlarmActions"] == [{"Ref": "AlertsTopic"}]


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_names_its_section_of_the_runbook(name: str) -> None:
    headings = re.findall(r"^#### (.+)$", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)
    sections = {part.strip("` ").lower() for heading in headings for part in heading.split(",")}
    (anchor,) = re.findall(
        r"see docs/operations\.md#([a-z-]+)\.$", ALARMS[name]["AlarmDescription"]
    )
    assert anchor in sections
    assert anchor in (name.lower(), "agreementalarm")


def test_the_runbook_has_no_section_of_an_alarm_that_is_gone() -> None:
    headings = re.findall(r"^#### (.+)$", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)
    named = {part.strip("` ") for heading in headings for part in heading.split(",")}
    assert named - {"AgreementAlarm"} <= set(ALARMS)


def test_an_alarms_expression_uses_all_of_its_metrics_and_no_others() -> None:
    functions = {"IF"}
    for name, alarm in ALARMS.items():
        if "Metrics" not in alarm:
            continue
        (math,) = (metric for metric in alarm["Metrics"] if "Expression" in metric)
        expression = math["Expression"]
        text = expression["Fn::Sub"] if isinstance(expression, dict) else expression
        words = set(re.findall(r"[A-Za-z]\w*", re.sub(r"\$\{.*?\}", "", text))) - functions
        ids = {metric["Id"] for metric in alarm["Metrics"] if "MetricStat" in metric}
        assert words == ids, name
        assert len(ids) <= 10, name  # what CloudWatch takes


@pytest.mark.parametrize("metric", ["Errors", "Throttles"])
def test_every_function_is_watched(metric: str) -> None:
    watched = [
        dimension["Value"]["Ref"]
        for alarm in ALARMS.values()
        for one in metrics_of(alarm)
        if (one["Namespace"], one["MetricName"]) == ("AWS/Lambda", metric)
        for dimension in one["Dimensions"]
    ]
    assert sorted(watched) == sorted(template.functions())


def test_every_machine_is_watched_however_it_fails() -> None:
    machines = set(template.resources("AWS::Serverless::StateMachine"))
    for ending in ("ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted"):
        watched = {
            one["Dimensions"][0]["Value"]["Ref"]
            for alarm in ALARMS.values()
            for one in metrics_of(alarm)
            if one["MetricName"] == ending
        }
        assert watched == machines


def test_every_metric_of_our_own_that_an_alarm_watches_is_written_by_the_code() -> None:
    own = [
        one
        for alarm in ALARMS.values()
        for one in metrics_of(alarm)
        if one["Namespace"] == OWN_NAMESPACE
    ]
    assert len(own) > 10
    for one in own:
        assert one["MetricName"] in WRITTEN


def test_the_dashboard_is_json_and_plots_metrics_that_are_written() -> None:
    (board,) = template.resources("AWS::CloudWatch::Dashboard").values()
    body = json.loads(board["DashboardBody"]["Fn::Sub"])
    titles = [widget["properties"]["title"] for widget in body["widgets"]]
    assert len(titles) == len(set(titles))
    places = [(widget["x"], widget["y"]) for widget in body["widgets"]]
    assert len(places) == len(set(places))
    searched = [
        metric["expression"]
        for widget in body["widgets"]
        for (metric, *_) in widget["properties"]["metrics"]
        if isinstance(metric, dict)
    ]
    own = [text for text in searched if '"Quorum/${AWS::StackName}"' in text]
    assert len(own) >= 8
    for text in own:
        (name,) = re.findall(r'MetricName="(\w+)"', text)
        # the end of a chat is part of its metric's name
        assert name in WRITTEN or name.startswith("Chats"), name


def test_cloudwatch_may_publish_to_the_encrypted_topic_and_so_may_who_watches_spending() -> None:
    key = template.resources("AWS::KMS::Key")["AlertsKey"]
    (topic,) = template.resources("AWS::SNS::Topic").values()
    assert topic["KmsMasterKeyId"] == {"Ref": "AlertsKey"}
    services = [
        statement["Principal"].get("Service") for statement in key["KeyPolicy"]["Statement"]
    ]
    assert "cloudwatch.amazonaws.com" in services
    (policy,) = template.resources("AWS::SNS::TopicPolicy").values()
    (allowed,) = policy["PolicyDocument"]["Statement"]
    assert (allowed["Principal"], allowed["Action"]) == (
        {"Service": "cloudwatch.amazonaws.com"},
        "sns:Publish",
    )
    watching = template.resources("AWS::IAM::ManagedPolicy")["WatchSpending"]
    granted = [statement["Resource"] for statement in watching["PolicyDocument"]["Statement"]]
    assert {"Fn::GetAtt": ["AlertsKey", "Arn"]} in granted
