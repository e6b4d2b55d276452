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
    functions = {"IF", "FILL"}
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


def test_an_alarm_of_metric_math_is_not_on_the_local_stack_which_knows_none() -> None:
    alarms = {
        name: one
        for name, one in template.template()["Resources"].items()
        if one["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in one["Properties"]
    }
    assert len(alarms) > 2
    assert [name for name, one in alarms.items() if one.get("Condition") != "InAws"] == []


def expressions() -> "Iterator[tuple[str, str, list[str]]]":
    """The expression of every alarm over several metrics, with the names of its metrics."""
    for name, alarm in ALARMS.items():
        ids = [metric["Id"] for metric in alarm.get("Metrics", []) if "MetricStat" in metric]
        if len(ids) > 1:
            (math,) = (one["Expression"] for one in alarm["Metrics"] if "Expression" in one)
            yield name, math, ids


def test_a_metric_that_was_not_written_counts_as_none_and_hides_no_other() -> None:
    """AWS writes most metrics only while there is something to count.

    A sum has no value where one of its metrics has none, and an alarm takes that for all is well.
    And alarms on DynamoDB's metrics ignore missing data whatever `TreatMissingData` says: they
    would stay on for good
    (https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html).
    """
    found = list(expressions())
    assert len(found) >= 20
    for name, math, ids in found:
        ratio = re.fullmatch(r"IF\((\w+) >= \d+, 100 \* FILL\((\w+), 0\) / \1, 0\)", math)
        if ratio is not None:
            assert list(ratio.groups()) == ids, name
        else:
            assert math == " + ".join(f"FILL({one}, 0)" for one in ids), name


def test_figures_that_come_late_are_not_taken_for_none() -> None:
    """The newest minute of a metric is often empty, and `FILL` would judge by it."""
    for name, alarm in ALARMS.items():
        if "FILL" in json.dumps(alarm):
            periods = {
                one["MetricStat"]["Period"] for one in alarm["Metrics"] if "MetricStat" in one
            }
            assert periods == {300}, name


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


def watched(metric: str, dimension: str) -> set[Any]:
    """The resources whose metric an alarm watches, by logical id; an index with its table."""
    found: set[Any] = set()
    for alarm in ALARMS.values():
        for one in metrics_of(alarm):
            named = {each["Name"]: _resource(each["Value"]) for each in one["Dimensions"]}
            if one["MetricName"] == metric and dimension in named:
                index = named.get("GlobalSecondaryIndexName")
                found.add((named[dimension], index) if index else named[dimension])
    return found


def _resource(value: Any) -> str:
    match value:
        case {"Ref": name} | {"Fn::GetAtt": [name, *_]}:
            return str(name)
    return str(value)


def dead_letters() -> set[str]:
    """The queues that something puts what it gives up into, by the whole template."""
    keys = {"deadLetterTargetArn", "Destination"}

    def targets(value: Any) -> "Iterator[str]":
        if isinstance(value, dict):
            for key, inner in value.items():
                if key in keys or (key == "Arn" and "Fn::GetAtt" in inner):
                    yield _resource(inner)
                yield from targets(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from targets(inner)

    return set(targets(template.template()["Resources"])) & set(
        template.resources("AWS::SQS::Queue")
    )


def events_of(kind: str) -> "Iterator[tuple[str, dict[str, Any]]]":
    """Function and properties of every event source of a kind."""
    for name, block in template.functions().items():
        for event in block.get("Events", {}).values():
            if event["Type"] == kind:
                yield name, event["Properties"]


def test_every_queue_is_watched_by_age_or_as_dead_letters() -> None:
    queues = template.resources("AWS::SQS::Queue")
    assert watched("ApproximateNumberOfMessagesVisible", "QueueName") == dead_letters()
    assert watched("ApproximateAgeOfOldestMessage", "QueueName") == queues.keys() - dead_letters()
    for name in queues.keys() - dead_letters():
        assert _resource(queues[name]["RedrivePolicy"]["deadLetterTargetArn"]) in dead_letters()


@pytest.mark.parametrize("metric", ["ReadThrottleEvents", "WriteThrottleEvents"])
def test_every_table_and_every_index_is_watched(metric: str) -> None:
    tables = template.resources("AWS::DynamoDB::Table")
    indexes = {
        (name, index["IndexName"])
        for name, table in tables.items()
        for index in table.get("GlobalSecondaryIndexes", [])
    }
    assert watched(metric, "TableName") == tables.keys() | indexes


def test_every_stream_is_watched_and_no_record_of_it_holds_up_the_others() -> None:
    sources = dict(events_of("DynamoDB"))
    assert len(sources) == sum(
        "StreamSpecification" in table
        for table in template.resources("AWS::DynamoDB::Table").values()
    )
    assert watched("IteratorAge", "FunctionName") == sources.keys()
    for source in sources.values():
        assert source["BisectBatchOnFunctionError"] is True
        assert 0 < source["MaximumRetryAttempts"] <= 300
        assert _resource(source["DestinationConfig"]["OnFailure"]["Destination"]) in dead_letters()


NOT_REPEATED = {"ConverseFunction": "a client has gone, or asks anew: nobody waits for the answer"}
"""Functions that are started without waiting for their end, and whose failure is kept nowhere."""


WAITED_FOR = {"Api", "SQS", "DynamoDB"}
"""The kinds of events whose sender waits for the function's end, and sees that it failed."""


def test_what_starts_a_function_without_waiting_for_it_keeps_what_failed() -> None:
    kinds = {
        event["Type"]
        for block in template.functions().values()
        for event in block.get("Events", {}).values()
    }
    assert kinds == WAITED_FOR | {"EventBridgeRule", "Schedule", "SNS"}
    told = {name for kind in kinds - WAITED_FOR for name, _ in events_of(kind)}
    configured = {
        name for name, block in template.functions().items() if "EventInvokeConfig" in block
    }
    assert configured == told | NOT_REPEATED.keys()
    kept = set()
    for name in told:
        where = template.functions()[name]["EventInvokeConfig"]["DestinationConfig"]["OnFailure"]
        assert _resource(where["Destination"]) in dead_letters()
        kept.add(name)
    assert watched("DestinationDeliveryFailures", "FunctionName") == kept
    assert watched("AsyncEventsDropped", "FunctionName") == NOT_REPEATED.keys()


RULES_OF_THE_STACK = (
    "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/${AWS::StackName}-*"
)


def test_what_eventbridge_cannot_tell_a_function_is_kept_where_it_may_put_it() -> None:
    admitted = {
        _resource(statement["Resource"]): statement["Condition"]
        for policy in template.resources("AWS::SQS::QueuePolicy").values()
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Principal"] == {"Service": "events.amazonaws.com"}
    }
    rules = [*events_of("EventBridgeRule"), *events_of("Schedule")]
    assert len(rules) >= 3
    for name, rule in rules:
        queue = _resource(rule["DeadLetterConfig"]["Arn"])
        assert queue in admitted.keys() & dead_letters(), name
        assert admitted[queue] == {"ArnLike": {"aws:SourceArn": {"Fn::Sub": RULES_OF_THE_STACK}}}
        # CloudFormation names them after the stack; on a bus of its own a rule has another ARN
        assert not rule.keys() & {"RuleName", "Name", "EventBusName"}, name


def test_every_rule_is_watched_for_what_it_could_not_even_put_among_the_dead_letters() -> None:
    rules = {
        f"{name}{event}"
        for name, block in template.functions().items()
        for event, one in block.get("Events", {}).items()
        if one["Type"] in {"EventBridgeRule", "Schedule"}
    }
    assert watched("InvocationsFailedToBeSentToDlq", "RuleName") == rules


def test_every_queue_and_stream_is_on_the_dashboard() -> None:
    (board,) = template.resources("AWS::CloudWatch::Dashboard").values()
    body = board["DashboardBody"]["Fn::Sub"]
    for queue in template.resources("AWS::SQS::Queue"):
        assert f"${{{queue}.QueueName}}" in body, queue
    for name, _ in events_of("DynamoDB"):
        assert f'"IteratorAge", "FunctionName", "${{{name}}}"' in body


def test_every_machine_is_watched_however_it_fails() -> None:
    blocks = template.resources("AWS::Serverless::StateMachine")
    for ending in ("ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted"):
        watched = {
            one["Dimensions"][0]["Value"]["Ref"]
            for alarm in ALARMS.values()
            for one in metrics_of(alarm)
            if one["MetricName"] == ending
        }
        # StopExecution takes no Express execution
        ends = {name for name in blocks if blocks[name]["Type"] == "STANDARD"}
        assert watched == (ends if ending == "ExecutionsAborted" else blocks.keys())


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


def test_whatever_books_the_cost_of_a_call_counts_it_for_the_alarm_on_spending() -> None:
    books, counts = set(), set()
    for file in (ROOT / "layers/quorum/python/quorum").rglob("*.py"):
        text = file.read_text()
        if re.search(r"\bledger\.paid\(", text):
            books.add(file.name)
        if re.search(r"^ +cost_booked\(", text, re.MULTILINE):
            counts.add(file.name)
    assert len(books) >= 4
    assert counts == books


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
