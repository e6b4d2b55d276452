"""Agreement of registry, template, state machines, panels, permissions, timeouts and events."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from embedded import characters, meaning, rules
from quorum.answer.completions import ChatCompletionRequest
from quorum.aws.keys import GOOGLES_ROUTES
from quorum.aws.leases import LEASE_SECONDS
from quorum.batch import pauses
from quorum.bulk.machine import Prepare
from quorum.bulk.requests import BatchRequest, QueuedItem
from quorum.chat import chat
from quorum.chat.chat import ACTIONS, Asked
from quorum.chat.conversations import ANSWERS_AT_ONCE, CONNECTION_SECONDS, SLOT_SECONDS
from quorum.chat.conversing import FINISHING_SECONDS
from quorum.core import embedded_voters, errors, registry
from quorum.core.model_entry import ModelEntry
from quorum.core.models import Frozen
from quorum.document.long_documents import AskPiece, Receive
from quorum.document.requests import DocumentsRequest, EstimateRequest, QueuedDocument
from quorum.events.rules import EventRule
from quorum.events.webhooks import WebhookRequest
from quorum.ledger.costs import INTENT_SECONDS
from quorum.review.appeals import AppealRequest
from quorum.review.proposals import PersonRequest, ProposalRequest
from quorum.review.requests import (
    ClaimRequest,
    DecideRequest,
    EscalateRequest,
    ReviewerRequest,
    SkipRequest,
)
from quorum.routes import perspective
from quorum.routes.keys import KeyRequest, RotateRequest
from quorum.vote import panel, score_coverage, telemetry
from quorum.vote.evaluation import VOTING_SECONDS, AggregateRequest, VoteRequest
from quorum.vote.moderations import ModerationRequest
from quorum.vote.perspective import AnalyzeCommentRequest, SuggestCommentScoreRequest
from quorum.vote.policy import PolicyDocument
from quorum.vote.policy_shadows import ShadowRequest
from quorum.vote.requests import ReviewRequest, VerdictRequest
from quorum.vote.trials import TrialRequest
from quorum.vote.workflow import CLIENT_SECONDS

from local import openapi
from tests import template
from tests.template import ROOT
from training import installing

PROCESSOR_MB = 1769
"""Megabytes for which Lambda gives a function one processor; for fewer, a share of it."""
AGGREGATE_START_SECONDS = 1.5
"""Seconds of a processor for INIT and the first call (docs/benchmarks.md, "Start-up")."""
API_SECONDS = 29
"""A REST API request ends after this (API Gateway's integration timeout)."""

LAMBDA_ERRORS = {
    "Lambda.TooManyRequestsException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
}
"""What can go wrong around a Lambda, and goes away (AWS's own advice for retries)."""


def logical_id(voter: str) -> str:
    """gemini-2.5-flash-lite → Gemini25FlashLiteFunction."""
    return "".join(re.sub(r"\W", "", part).capitalize() for part in voter.split("-")) + "Function"


VOTERS = [model.name for model in registry.voters()]
BRANCHES = {
    next(iter(branch["States"])).removesuffix(" asked?"): branch["States"]
    for branch in template.machine()["States"]["Vote"]["Branches"]
}
ANY_MODEL = BRANCHES.pop("any model")
"""The branch of all voters without one of their own."""


def substitutions() -> dict[str, Any]:
    machine = template.resources("AWS::Serverless::StateMachine")["VoteMachine"]
    return dict(machine["DefinitionSubstitutions"])


def invocable() -> list[Any]:
    machine = template.resources("AWS::Serverless::StateMachine")["VoteMachine"]
    (statement,) = (
        statement
        for statement in template.statements(machine)
        if statement["Action"] == "lambda:InvokeFunction"
    )
    return list(statement["Resource"])


@pytest.mark.parametrize("voter", VOTERS)
def test_a_voter_has_a_block_in_the_template(voter: str) -> None:
    block = template.functions()[logical_id(voter)]
    if registry.model(voter).kind == "gateway":
        assert block["CodeUri"] == "functions/vote"
        assert block["Environment"]["VOTER"] == voter
    else:
        assert block["CodeUri"] == "functions/vote_embedded"
        assert block["Handler"] == f"app.{voter}"
        assert {"Ref": "EmbeddedLayer"} in block["Layers"]


@pytest.mark.parametrize("voter", VOTERS)
def test_a_voter_has_a_branch_that_never_fails_the_vote(voter: str) -> None:
    states = BRANCHES[voter]
    asked, votes = states[f"{voter} asked?"], states[f"{voter} votes"]
    assert asked["Choices"][0]["Condition"] == f"{{% '{voter}' in $voters %}}"
    assert asked["Choices"][0]["Next"] == f"{voter} votes"
    assert asked["Default"] == f"{voter} passes"
    assert votes["Arguments"]["FunctionName"] == f"${{{logical_id(voter)}}}"
    (catcher,) = votes["Catch"]
    assert catcher["ErrorEquals"] == ["States.ALL"]
    assert catcher["Next"] == f"{voter} abstains"
    assert catcher["Output"]["voter"] == voter
    assert catcher["Output"]["kind"] == "abstention"
    assert states[f"{voter} abstains"] == {"Type": "Pass", "End": True}


@pytest.mark.parametrize("voter", VOTERS)
def test_a_voter_can_be_called_by_the_machine(voter: str) -> None:
    arn = {"Fn::Sub": f"${{{logical_id(voter)}.Arn}}:live"}
    assert substitutions()[logical_id(voter)] == arn
    assert arn in invocable()


@pytest.mark.parametrize("voter", [rules, characters, meaning], ids=lambda voter: voter.VOTER)
def test_the_registry_knows_the_revision_an_embedded_voter_was_trained_to(voter: Any) -> None:
    known = registry.model(voter.VOTER).revision
    assert voter.version() == f"{voter.VOTER}@{known}", "run `python -m training.installing`"


def test_the_registry_knows_the_languages_that_a_voter_reads() -> None:
    assert set(registry.model("rules").languages) == rules.LANGUAGES
    assert set(registry.model("characters").languages) == characters.scorer().languages.keys()
    read = meaning.scorer().known - {meaning.OTHER}
    assert set(registry.model("meaning").languages) == read


def test_what_is_known_of_the_embedded_voters_is_what_their_files_say() -> None:
    known = installing.known(characters.WEIGHTS.parent)
    assert known.voters == embedded_voters.installed(), "run `python -m training.installing`"
    assert known.scores == score_coverage.packaged()


def test_nobody_votes_who_is_not_in_the_registry() -> None:
    voting = {
        name
        for name, block in template.functions().items()
        if block["CodeUri"] in ("functions/vote", "functions/vote_embedded")
    }
    assert voting == {logical_id(voter) for voter in VOTERS} | {"AnyModelFunction"}
    assert list(BRANCHES) == VOTERS
    assert len(invocable()) == len(VOTERS) + 2


def test_a_pack_is_sent_to_every_voter_by_functions_that_may_call_it() -> None:
    names = {voter: logical_id(voter) for voter in VOTERS} | {"*": "AnyModelFunction"}
    senders = {
        name: block["Environment"]["VOTER_FUNCTIONS"]["Fn::Sub"]
        for name, block in template.functions().items()
        if "VOTER_FUNCTIONS" in block["Environment"]
    }
    assert senders.keys() == {"BatchFunction", "BulkFunction"}
    for listed in senders.values():
        assert json.loads(listed) == {voter: f"${{{name}}}:live" for voter, name in names.items()}
    policy = template.resources("AWS::IAM::ManagedPolicy")["InvokeVoters"]
    (statement,) = policy["PolicyDocument"]["Statement"]
    allowed = {one["Fn::Sub"] for one in statement["Resource"]}
    assert allowed == {f"${{{name}.Arn}}:live" for name in names.values()}


def test_a_voter_without_a_branch_of_its_own_is_asked_by_the_one_that_asks_any_model() -> None:
    asked, votes = ANY_MODEL["any model asked?"], ANY_MODEL["any model votes"]
    listed = "[" + ", ".join(f"'{voter}'" for voter in VOTERS) + "]"
    others = f"$filter($voters, function($voter) {{ $not($voter in {listed}) }})"
    assert asked["Choices"] == [
        {"Condition": f"{{% $count({others}) > 0 %}}", "Next": "any model votes"}
    ]
    assert asked["Default"] == "any model passes"
    assert (votes["Type"], votes["Items"]) == ("Map", f"{{% [{others}] %}}")
    states = votes["ItemProcessor"]["States"]
    task, own = states["model votes"], BRANCHES["gpt-4.1"]["gpt-4.1 votes"]
    assert task["Arguments"]["FunctionName"] == "${AnyModelFunction}"
    assert task["Arguments"]["Payload"] == {
        "evaluation": "{% $evaluation %}",
        "voter": "{% $states.input.voter %}",
    }
    assert (task["Retry"], task["TimeoutSeconds"]) == (own["Retry"], own["TimeoutSeconds"])
    (catcher,) = task["Catch"]
    assert (catcher["ErrorEquals"], catcher["Next"]) == (["States.ALL"], "model abstains")
    assert catcher["Output"] == own["Catch"][0]["Output"] | {"voter": "{% $states.input.voter %}"}
    assert states["model abstains"] == {"Type": "Pass", "End": True}
    block = template.functions()["AnyModelFunction"]
    assert (block["CodeUri"], block["Handler"]) == ("functions/vote", "app.any_model")
    assert block["Timeout"] == template.functions()["Gpt41Function"]["Timeout"]
    assert {"Fn::Sub": "${AnyModelFunction.Arn}:live"} in invocable()


def test_every_voter_has_an_alarm_and_no_other() -> None:
    watched = {
        name: dimension["Value"]
        for name, alarm in template.resources("AWS::CloudWatch::Alarm").items()
        if alarm.get("MetricName") == "AgreementWithVerdict"
        for dimension in alarm["Dimensions"]
        if dimension["Name"] == "voter"
    }
    expected = {logical_id(voter).replace("Function", "AgreementAlarm"): voter for voter in VOTERS}
    expected["AnyModelAgreementAlarm"] = telemetry.ANY_MODEL
    assert watched == expected


def test_every_substitution_is_used_and_every_placeholder_substituted() -> None:
    text = (ROOT / "statemachines/vote.asl.json").read_text()
    assert set(re.findall(r"\$\{(\w+)\}", text)) == set(substitutions())


@pytest.mark.parametrize("name", panel.PACKAGED)
def test_a_packaged_panel_asks_known_voters(name: str) -> None:
    assert set(panel.packaged(name).voters) <= set(VOTERS)


def test_the_machine_retries_what_happens_around_a_lambda_and_nothing_a_gateway_says() -> None:
    ours = {name for name in vars(errors) if not name.startswith("_")}
    for voter, states in BRANCHES.items():
        (retrier,) = states[f"{voter} votes"]["Retry"]
        assert set(retrier["ErrorEquals"]) == LAMBDA_ERRORS
        assert retrier["JitterStrategy"] == "FULL"
        assert retrier["MaxDelaySeconds"] > 0
    (retrier,) = template.machine()["States"]["Aggregate"]["Retry"]
    named = set(retrier["ErrorEquals"]) - LAMBDA_ERRORS
    assert named == {"StoreUnavailable"}
    assert named <= ours


def test_timeouts_are_in_order_so_that_the_inner_one_always_speaks_first() -> None:
    functions = template.functions()
    machine = template.machine()
    tasks = {states[f"{voter} votes"]["TimeoutSeconds"] for voter, states in BRANCHES.items()}
    voters = {functions[logical_id(voter)]["Timeout"] for voter in VOTERS}
    assert (
        API_SECONDS
        > functions["ApiFunction"]["Timeout"]
        > CLIENT_SECONDS
        > machine["TimeoutSeconds"]
        > VOTING_SECONDS
        > max(tasks)
        >= min(tasks)
        > max(voters)
    )
    aggregate = machine["States"]["Aggregate"]["TimeoutSeconds"]
    assert aggregate > functions["AggregateFunction"]["Timeout"]


def test_an_aggregate_that_starts_anew_still_records_the_verdict_before_the_machine_ends() -> None:
    memory = template.functions()["AggregateFunction"]["MemorySize"]
    start = AGGREGATE_START_SECONDS / min(1.0, memory / PROCESSOR_MB)
    assert VOTING_SECONDS + start < template.machine()["TimeoutSeconds"]


def test_a_message_stays_invisible_for_six_times_its_functions_timeout() -> None:
    queues = template.resources("AWS::SQS::Queue")
    read = {
        (event["Properties"]["Queue"]["Fn::GetAtt"][0], block["Timeout"])
        for block in template.functions().values()
        for event in block.get("Events", {}).values()
        if event["Type"] == "SQS"
    }
    assert {name for name, _ in read} == {
        name for name, queue in queues.items() if "RedrivePolicy" in queue
    }
    for name, timeout in read:
        assert queues[name]["VisibilityTimeout"] >= 6 * timeout, name
    assert template.functions()["BatchFunction"]["Timeout"] > CLIENT_SECONDS


def test_the_worker_dead_letters_a_message_with_its_reason_before_the_queue_does_without() -> None:
    queues = template.resources("AWS::SQS::Queue")
    for name, functions in (
        ("ItemsQueue", ("BatchFunction", "ApiFunction")),
        ("DocumentsQueue", ("DocumentFunction", "DocumentStepFunction", "ApiFunction")),
    ):
        for function in functions:
            tries = int(template.functions()[function]["Environment"]["MAX_RECEIVES"])
            # the one after the last try is for dead-lettering, whose worker may crash too
            assert queues[name]["RedrivePolicy"]["maxReceiveCount"] > tries + 1


def test_a_message_is_tried_for_two_hours_and_its_queue_keeps_it_for_longer() -> None:
    longest_visibility = 43_200  # SQS hides no message for longer
    assert pauses.total_seconds(pauses.TRIES) >= 7_200
    assert longest_visibility > pauses.LONGEST_SECONDS * 1.25 + 1
    for function in ("BatchFunction", "DocumentFunction", "DocumentStepFunction", "ApiFunction"):
        tries = int(template.functions()[function]["Environment"]["MAX_RECEIVES"])
        assert tries == pauses.TRIES, function
    for queue in template.resources("AWS::SQS::Queue").values():
        assert queue["MessageRetentionPeriod"] > 10 * pauses.total_seconds(pauses.TRIES)


def test_a_claim_outlives_the_vote_it_is_for_and_a_worker_the_wait_for_it() -> None:
    timeout = template.functions()["BatchFunction"]["Timeout"]
    assert CLIENT_SECONDS < LEASE_SECONDS
    assert timeout > LEASE_SECONDS + CLIENT_SECONDS


def test_an_intent_is_closed_only_when_no_function_can_still_settle_it() -> None:
    longest = max(function["Timeout"] for function in template.functions().values())
    assert longest < INTENT_SECONDS


def listed(value: Any) -> list[Any]:
    """The values of a property that may be one or a list."""
    return value if isinstance(value, list) else [value]


def senders_to_themselves(functions: dict[str, dict[str, Any]]) -> set[str]:
    """The functions that may send to a queue that starts them."""
    return {
        name
        for name, block in functions.items()
        for event in block.get("Events", {}).values()
        for statement in template.statements(block)
        if event["Type"] == "SQS"
        and {"sqs:SendMessage", "sqs:*"} & set(listed(statement["Action"]))
        and event["Properties"]["Queue"] in listed(statement["Resource"])
    }


def test_a_function_that_sends_to_its_own_event_source_is_not_stopped_as_a_recursion() -> None:
    functions = template.functions()
    senders = senders_to_themselves(functions)
    assert senders == {"BatchFunction", "DocumentFunction", "DeliverFunction"}
    for name, block in functions.items():
        assert (block.get("RecursiveLoop") == "Allow") is (name in senders), name


def test_a_queue_among_several_is_found_as_a_functions_own() -> None:
    own, other = {"Fn::GetAtt": ["Own", "Arn"]}, {"Fn::GetAtt": ["Other", "Arn"]}
    sends = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": [other, own]}
    policies = [{"Statement": [sends]}]
    mine = {"Mine": {"Type": "SQS", "Properties": {"Queue": own}}}
    assert senders_to_themselves({"Sender": {"Events": mine, "Policies": policies}})
    third = {"Type": "SQS", "Properties": {"Queue": {"Fn::GetAtt": ["Third", "Arn"]}}}
    assert not senders_to_themselves({"Other": {"Events": {"Mine": third}, "Policies": policies}})


def test_no_permission_is_on_everything_except_where_the_template_says_why() -> None:
    for line in (ROOT / "template.yaml").read_text().splitlines():
        assert 'Resource: "*"' not in line or "#" in line, line
    for name, block in template.functions().items():
        for statement in template.statements(block):
            assert statement["Resource"] != "*", name
            assert "*" not in json.dumps(statement["Action"]), name


ENTRIES_CHANGED = {
    *("dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:BatchWriteItem"),
    *("dynamodb:PartiQLUpdate", "dynamodb:PartiQLDelete"),
}
"""The actions that change or delete an item."""


def test_nobody_has_the_right_to_change_or_delete_an_entry_of_the_audit_trail() -> None:
    granted: dict[str, set[str]] = {}
    blocks = template.functions() | template.resources("AWS::Serverless::StateMachine")
    for name, block in blocks.items():
        for statement in template.statements(block):
            if "AuditTable" in json.dumps(statement["Resource"]):
                actions = statement["Action"]
                granted.setdefault(name, set()).update(
                    [actions] if isinstance(actions, str) else actions
                )
    added = {"dynamodb:Query", "dynamodb:PutItem"}
    reading = ("ApiFunction", "ConsoleFunction", "ReviewsFunction", "WebhooksFunction")
    writers = (*reading, "ProposeFunction")
    assert granted == dict.fromkeys(writers, added)
    table = template.resources("AWS::DynamoDB::Table")["AuditTable"]
    (denied,) = table["ResourcePolicy"]["PolicyDocument"]["Statement"]
    assert (denied["Effect"], denied["Principal"]) == ("Deny", "*")
    assert set(denied["Action"]) == ENTRIES_CHANGED
    assert "TimeToLiveSpecification" not in table


def test_logs_are_kept_for_a_time_and_executions_never_log_content() -> None:
    groups = template.resources("AWS::Logs::LogGroup")
    assert all(group["RetentionInDays"] == {"Ref": "LogDays"} for group in groups.values())
    for name, block in template.functions().items():
        assert block["LoggingConfig"]["LogGroup"]["Ref"] in groups, name
    for machine in template.resources("AWS::Serverless::StateMachine").values():
        assert machine["Logging"]["IncludeExecutionData"] is False


MODELS: dict[str, type[Frozen]] = {
    "vote.json": VoteRequest,
    "vote_any_model.json": VoteRequest,
    "vote_embedded.json": VoteRequest,
    "aggregate.json": AggregateRequest,
    "queued_item.json": QueuedItem,
    "bulk_prepare.json": Prepare,
    "document_step.json": AskPiece,
    "document_receive.json": Receive,
    "converse.json": Asked,
}


@pytest.mark.parametrize("name", sorted(MODELS))
def test_an_event_is_what_its_function_expects(name: str) -> None:
    MODELS[name].model_validate_json((ROOT / "events" / name).read_text())


BODIES: dict[str, type[Frozen]] = {
    "analyze_comment.json": AnalyzeCommentRequest,
    "suggest_comment_score.json": SuggestCommentScoreRequest,
    "post_batch.json": BatchRequest,
    "post_chat_completion.json": ChatCompletionRequest,
    "post_documents.json": DocumentsRequest,
    "post_estimate.json": EstimateRequest,
    "post_key.json": KeyRequest,
    "post_key_rotation.json": RotateRequest,
    "post_moderation.json": ModerationRequest,
    "post_policy_trial.json": TrialRequest,
    "post_appeal.json": AppealRequest,
    "post_claim.json": ReviewerRequest,
    "post_claim_next.json": ClaimRequest,
    "post_decisions.json": DecideRequest,
    "post_escalate.json": EscalateRequest,
    "post_release.json": ReviewerRequest,
    "post_review.json": ReviewRequest,
    "post_skip.json": SkipRequest,
    "post_undo.json": ReviewerRequest,
    "post_verdict.json": VerdictRequest,
    "post_proposal.json": ProposalRequest,
    "shadow_proposal.json": PersonRequest,
    "promote_proposal.json": PersonRequest,
    "withdraw_proposal.json": PersonRequest,
    "put_event_rule.json": EventRule,
    "put_model.json": ModelEntry,
    "put_policy.json": PolicyDocument,
    "put_policy_shadow.json": ShadowRequest,
    "put_webhook.json": WebhookRequest,
}
"""What the route of an event takes as its body."""


def test_the_bodies_of_events_are_what_their_routes_expect() -> None:
    events = {file.name: json.loads(file.read_text()) for file in (ROOT / "events").iterdir()}
    http = {name: event for name, event in events.items() if "httpMethod" in event}
    bodies = {name: event["body"] for name, event in http.items() if event.get("body")}
    assert bodies.keys() == BODIES.keys()
    for name, body in bodies.items():
        BODIES[name].model_validate_json(body)
    for record in json.loads((ROOT / "events/document.json").read_text())["Records"]:
        QueuedDocument.model_validate_json(record["body"])
    for record in json.loads((ROOT / "events/batch.json").read_text())["Records"]:
        QueuedItem.model_validate_json(record["body"])


def test_every_route_has_an_event() -> None:
    routes = {
        (route["Properties"]["Method"].upper(), route["Properties"]["Path"])
        for block in template.functions().values()
        for route in block.get("Events", {}).values()
        if route["Type"] == "Api"
    }
    shown = {
        (event["httpMethod"], event["resource"])
        for event in map(json.loads, (file.read_text() for file in (ROOT / "events").iterdir()))
        if "httpMethod" in event and event.get("type") != "REQUEST"
    }
    assert routes == shown


def chat_events() -> list[dict[str, Any]]:
    events = map(json.loads, (file.read_text() for file in (ROOT / "events").iterdir()))
    return [event for event in events if "connectionId" in event.get("requestContext", {})]


def test_every_route_of_the_chat_has_an_event_and_every_action_a_route() -> None:
    routes = {
        route["RouteKey"] for route in template.resources("AWS::ApiGatewayV2::Route").values()
    }
    assert routes == {"$connect", "$disconnect", "$default", *ACTIONS}
    shown = [event for event in chat_events() if event.get("type") != "REQUEST"]
    assert {event["requestContext"]["routeKey"] for event in shown} == routes
    for event in shown:
        if event["requestContext"]["routeKey"] in ACTIONS:
            chat.read(event["body"])


def test_only_who_has_a_key_may_connect_to_the_chat() -> None:
    connect = template.resources("AWS::ApiGatewayV2::Route")["ConnectRoute"]
    assert connect["AuthorizationType"] == "CUSTOM"
    assert connect["AuthorizerId"] == {"Ref": "ChatAuthorizer"}


def test_only_routes_that_tell_a_bad_key_themselves_get_requests_without_a_known_one() -> None:
    assert {*GOOGLES_ROUTES, perspective.DISCOVERY} == set(perspective.ERROR_FORMS)
    assert all(path.startswith("/v1alpha1/") for path in GOOGLES_ROUTES)


def test_a_browser_may_ask_beforehand_without_a_key_whether_it_may_send_one() -> None:
    api = template.resources("AWS::Serverless::Api")["Api"]
    assert api["Auth"]["AddDefaultAuthorizerToCorsPreflight"] is False
    assert api["Cors"]["AllowOrigin"] == "'*'"
    # A client may have any headers of its own, but `*` stands for all except this one.
    assert api["Cors"]["AllowHeaders"] == "'authorization,*'"
    for name, refusal in api["GatewayResponses"].items():
        headers = refusal["ResponseParameters"]["Headers"]
        assert headers["Access-Control-Allow-Origin"] == "'*'", name


def test_only_what_describes_the_api_and_the_console_need_no_key() -> None:
    open_to_all = [
        route["Properties"]["Path"]
        for block in template.functions().values()
        for route in block.get("Events", {}).values()
        if "Auth" in route["Properties"]
    ]
    described = ["/openapi.json", "/docs", "/docs/{file}"]
    signs_in_itself = ["/console", "/console/{proxy+}", "/console/{proxy+}"]
    assert sorted(open_to_all) == sorted([perspective.DISCOVERY, *described, *signs_in_itself])


def test_a_chat_is_taken_before_its_route_ends_and_answered_once() -> None:
    functions = template.functions()
    assert functions["RouteFunction"]["Timeout"] < API_SECONDS
    converse = functions["ConverseFunction"]
    assert converse["EventInvokeConfig"]["MaximumRetryAttempts"] == 0
    assert converse["Timeout"] > CLIENT_SECONDS + FINISHING_SECONDS
    longest = int(template.template()["Parameters"]["ConversationSeconds"]["Default"])
    assert longest >= converse["Timeout"]


def test_an_answers_slot_outlives_the_function_that_streams_it() -> None:
    converse = template.functions()["ConverseFunction"]
    waits = converse["EventInvokeConfig"]["MaximumEventAgeInSeconds"]
    assert converse["Timeout"] + waits < SLOT_SECONDS < CONNECTION_SECONDS
    at_once = template.functions()["RouteFunction"]["Environment"]["ANSWERS_AT_ONCE"]
    assert at_once == {"Ref": "AnswersAtOnce"}
    assert template.template()["Parameters"]["AnswersAtOnce"]["Default"] == ANSWERS_AT_ONCE


def test_both_apis_are_throttled_and_a_chats_functions_may_be_counted() -> None:
    (every,) = template.resources("AWS::Serverless::Api")["Api"]["MethodSettings"]
    assert (every["ResourcePath"], every["HttpMethod"]) == ("/*", "*")
    stage = template.resources("AWS::ApiGatewayV2::Stage")["ChatStage"]["DefaultRouteSettings"]
    for settings in (every, stage):
        for limit in ("ThrottlingRateLimit", "ThrottlingBurstLimit"):
            assert template.template()["Parameters"][settings[limit]["Ref"]]["Default"] > 0
    reserved = template.functions()["ConverseFunction"]["ReservedConcurrentExecutions"]
    none = {"Ref": "AWS::NoValue"}
    assert reserved == {"Fn::If": ["ReserveAnswers", {"Ref": "AnswerFunctions"}, none]}
    assert template.template()["Parameters"]["AnswerFunctions"]["Default"] == 0


def test_the_published_description_of_the_api_is_what_the_routes_say() -> None:
    assert openapi.FILE.read_text() == openapi.document(), "run `make openapi`"


def test_the_routes_of_the_template_are_those_of_the_api() -> None:
    described = json.loads(openapi.document())["paths"]
    routed = {
        (route["Properties"]["Path"], route["Properties"]["Method"])
        for name, block in template.functions().items()
        for route in block.get("Events", {}).values()
        if route["Type"] == "Api" and name not in {"PagesFunction", "ConsoleFunction"}
    }
    assert routed == {(path, method) for path, methods in described.items() for method in methods}


def test_the_layers_requirements_are_what_the_lock_says() -> None:
    for folder, groups in (
        ("dependencies", ["--only-group", "service"]),
        ("embedded", ["--only-group", "embedded"]),
        ("meaning", ["--only-group", "meaning"]),
        ("documents", ["--only-group", "documents"]),
    ):
        exported = subprocess.run(
            [
                sys.executable,
                "-m",
                "uv",
                "export",
                "--quiet",
                "--frozen",
                *groups,
                "--no-emit-project",
                "--no-header",
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        committed = (ROOT / "layers" / folder / "requirements.txt").read_text()
        assert committed == exported, "run `make lock`"


def test_every_managed_policy_is_used_by_more_than_one_role() -> None:
    named = [
        policy["Ref"]
        for kind in ("AWS::Serverless::Function", "AWS::Serverless::StateMachine")
        for block in template.resources(kind).values()
        for policy in block.get("Policies", [])
        if "Ref" in policy
    ]
    for policy in template.resources("AWS::IAM::ManagedPolicy"):
        assert named.count(policy) > 1, policy


def test_the_functions_run_on_no_python_whose_lambda_is_too_old_for_their_packages() -> None:
    allowed = template.template()["Parameters"]["PythonRuntime"]["AllowedValues"]
    assert allowed == ["python3.12", "python3.13"]  # python3.11 has glibc 2.26, wheels need 2.28


@pytest.mark.parametrize(
    ("there", "says"),
    [
        (["python3.12"], "PythonRuntime=python3.12"),
        (["python3.12", "python3.13"], "PythonRuntime=python3.13"),
        (["python3.11"], "needs Python 3.13 or 3.12"),
    ],
)
def test_a_deploy_is_for_the_python_at_hand_or_says_what_it_needs(
    tmp_path: Path, there: list[str], says: str
) -> None:
    for tool in ("bash", "sh", "env", "test", "echo", "cat"):
        found = shutil.which(tool)
        if found is not None:
            (tmp_path / tool).symlink_to(found)
    for name in there:
        (tmp_path / name).write_text(f"#!/bin/sh\necho {name}\n")
        (tmp_path / name).chmod(0o755)
    # A shim as pyenv leaves it: it is on the PATH and runs nothing.
    for name in {"python3.12", "python3.13"} - set(there):
        (tmp_path / name).write_text("#!/bin/sh\nexit 127\n")
        (tmp_path / name).chmod(0o755)
    make = shutil.which("make")
    assert make is not None
    ran = subprocess.run(
        # `setup` is another matter: taken for made, it shows what the deploy itself does.
        [make, "--dry-run", "--old-file", "setup", "deploy", "SHELL=/bin/bash"],
        cwd=ROOT,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    shown = ran.stdout
    assert says in shown + ran.stderr
    assert (ran.returncode == 0) is ("PythonRuntime" in says)
    if "PythonRuntime" in says:
        (build,) = (line for line in shown.splitlines() if "sam build" in line)
        (prepare,) = (line for line in shown.splitlines() if "local.release prepare" in line)
        assert says in build
        assert says in prepare  # writes the parameters of `sam deploy`
        assert f"PYTHON_RUNTIME={says.partition('=')[2]} " in build


def test_the_operations_page_lists_every_parameter() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    missing = [name for name in template.template()["Parameters"] if f"`{name}`" not in page]
    assert missing == []
