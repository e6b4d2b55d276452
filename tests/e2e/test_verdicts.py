"""A text's way to its verdict, through the deployed template."""

import json
import os
import re
import subprocess
import time
from decimal import Decimal
from pathlib import Path
from shutil import which
from typing import Any

import boto3
import httpx
import pytest
from quorum.aws.keys import Caller
from quorum.core.identifiers import verdict_id_of
from quorum.vote import panel

from fakes.gateway import StandIn
from local.state import TENANT, Stack, StateDirectory
from tests.e2e.conftest import Api, Recorded, by_voter, says
from tests.template import ROOT

DEFAULT = panel.packaged("default").voters
SOON_SECONDS = 60


def test_every_voter_of_the_panel_votes_and_the_bill_is_the_gateways_own(
    api: Api, stand_in: StandIn, recorded: Recorded
) -> None:
    text = says(recorded, "a text nobody has seen", gemini_2_5_flash="unsafe")
    before = stand_in.count.cost_usd
    verdict = api.judge(text)
    assert {name: vote["decision"] for name, vote in by_voter(verdict).items()} == {
        "gpt-4.1": "safe",
        "gemini-2.5-flash": "unsafe",
        "deepseek-v3.2": "safe",
    }
    assert verdict["calls"] == 3
    assert Decimal(verdict["cost_usd"]) == stand_in.count.cost_usd - before > 0
    assert all(vote["served_by"] is None for vote in verdict["votes"])  # in the log only
    assert verdict["language"] == "en"


def test_the_example_of_the_readme_runs(
    stack: Stack,
    stand_in: StandIn,
    recorded: Recorded,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (example,) = (block for block in shown if "Quorum(" in block)
    content = re.search(r'moderate\("(.*?)"', example)
    assert content is not None
    says(recorded, content[1], gpt_4_1="unsafe", gemini_2_5_flash="unsafe")
    monkeypatch.setenv("API", stack.api)
    monkeypatch.setenv("KEY", stack.key)
    exec(compile(example, "README.md", "exec"), {})  # noqa: S102 - our own
    assert capsys.readouterr().out.startswith("unsafe ")
    (example,) = (block for block in shown if "OpenAI(" in block)
    exec(compile(example, "README.md", "exec"), {})  # noqa: S102 - our own
    assert capsys.readouterr().out == "True\n"


@pytest.mark.skipif(which("jq") is None, reason="the examples use jq, which is not installed")
@pytest.mark.parametrize("page", ["README.md", "docs/verdict.md", "docs/usage.md"])
def test_the_shell_examples_of_a_page_can_be_pasted_in_order(
    stack: Stack, api: Api, tmp_path: Path, page: str
) -> None:
    """The requests only; commands and their setting up have tests of their own."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    lines = [
        re.sub(r"\bcurl ", "curl --fail-with-body --retry 3 ", line)
        for line in "".join(blocks).splitlines()
        if re.match(r"curl |echo |[A-Z]+=", line)
    ]
    lines = [f"{line}\necho batch $ID" if "$API/batches -H" in line else line for line in lines]
    assert any("$API" in line for line in lines)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(lines)],  # noqa: S607 - the shell of the machine
        cwd=tmp_path,
        env=os.environ | stack.variables(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    until = time.monotonic() + SOON_SECONDS
    for batch in re.findall(r"^batch (\S+)$", done.stdout, re.MULTILINE):
        # Other tests count what the gateway bills, so nothing may still be judged when they begin.
        while api.get(f"batches/{batch}").json()["state"] != "complete":
            assert time.monotonic() < until, batch
            time.sleep(0.5)


def test_a_text_judged_before_is_answered_from_the_cache(
    api: Api, stand_in: StandIn, recorded: Recorded
) -> None:
    text = says(recorded, "the same text twice")
    first = api.judge(text)
    paid = stand_in.count.cost_usd
    again = api.judge(text)
    assert again["answered_from"] == "cache"
    assert again["decision"] == first["decision"]
    assert Decimal(again["cost_usd"]) == 0
    assert again["saved_usd"] == first["cost_usd"]
    assert stand_in.count.cost_usd == paid


def test_a_text_in_its_context_is_another_vote_and_the_models_are_shown_it(
    api: Api, stand_in: StandIn, recorded: Recorded
) -> None:
    text = says(recorded, "kill it, whatever it is")
    context = {
        "messages": ["that last boss is unfair"],
        "author": {"account_age_days": 900, "earlier_strikes": 0},
    }
    plain = api.judge(text)
    seen = len(stand_in.bodies)
    verdict = api.judge(text, context=context)
    assert (verdict["answered_from"], verdict["calls"]) == ("panel", plain["calls"])
    assert {vote["context_seen"] for vote in verdict["votes"]} == {True}
    shown = [body["messages"][1]["content"] for body in stand_in.bodies[seen:]]
    assert len(shown) == verdict["calls"]
    assert all("that last boss is unfair" in user for user in shown)
    assert api.judge(text, context=context)["answered_from"] == "cache"
    embedded = api.judge("You are a worthless idiot.", context=context, panel="embedded")
    assert embedded["reason"].endswith("did not see the context")


def test_with_one_model_gone_the_rest_decide(
    api: Api, stand_in: StandIn, recorded: Recorded
) -> None:
    text = says(recorded, "one model is gone", gpt_4_1="unsafe", gemini_2_5_flash="unsafe")
    stand_in.scenario = stand_in.scenario.model_copy(update={"missing_models": ("deepseek-v3.2",)})
    verdict = api.judge(text)
    assert verdict["decision"] == "unsafe"
    gone = by_voter(verdict)["deepseek-v3.2"]
    assert (gone["kind"], gone["reason"]) == ("abstention", "gateway_rejected")


def test_with_all_models_gone_a_person_decides(api: Api, stand_in: StandIn) -> None:
    stand_in.scenario = stand_in.scenario.model_copy(update={"missing_models": DEFAULT})
    verdict = api.judge("nobody can say")
    assert verdict["decision"] == "needs_review"
    assert {vote["kind"] for vote in verdict["votes"]} == {"abstention"}
    assert "quorum" in verdict["reason"]


def test_a_voter_whose_lambda_cannot_run_abstains_and_the_rest_decide(
    api: Api, stack: Stack, recorded: Recorded
) -> None:
    text = says(recorded, "one lambda cannot run", gpt_4_1="unsafe", gemini_2_5_flash="unsafe")
    functions = stack.client("lambda")
    name = stack.resources["DeepseekV32Function"]
    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    try:
        verdict = api.judge(text)
    finally:
        functions.delete_function_concurrency(FunctionName=name)
    assert verdict["decision"] == "unsafe"
    throttled = by_voter(verdict)["deepseek-v3.2"]
    assert (throttled["kind"], throttled["reason"]) == ("abstention", "failed")


def test_the_embedded_panel_judges_without_a_gateway(api: Api, stand_in: StandIn) -> None:
    before = stand_in.count.requests
    kind = api.judge("Thanks for the recipe, my kids loved it.", panel="embedded")
    unkind = api.judge("You are a worthless idiot and everybody here hates you.", panel="embedded")
    assert kind["decision"] == "safe"
    assert unkind["decision"] == "unsafe"
    assert stand_in.count.requests == before


def test_a_language_no_embedded_voter_knows_goes_to_a_person(api: Api) -> None:
    verdict = api.judge("Habari ya asubuhi, rafiki yangu mpendwa. Karibu sana.", panel="embedded")
    assert verdict["decision"] == "needs_review"


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ({}, "", 401),
        ({"x-api-key": "qk_wrong"}, "", 401),
        ({}, "?key=qk_wrong", 401),
        ({"Authorization": "Bearer {key}"}, "", 200),
        ({}, "?key={key}", 200),
    ],
)
def test_only_a_known_key_is_let_in(
    stack: Stack, headers: dict[str, str], query: str, status: int
) -> None:
    answer = httpx.get(
        f"{stack.api}/health{query.format(key=stack.key)}",
        headers={name: value.format(key=stack.key) for name, value in headers.items()},
        timeout=30,
    )
    assert answer.status_code == status


def test_another_tenants_verdict_is_not_found(stack: Stack, api: Api) -> None:
    verdict = api.judge("Whose is this?")
    other = Api(stack, stack.new_key(Caller(tenant="other")))
    assert api.get(f"verdicts/{verdict['id']}").status_code == 200
    assert other.get(f"verdicts/{verdict['id']}").status_code == 404


def send(stack: Stack, body: str) -> str:
    queue = stack.client("sqs")
    message = queue.send_message(QueueUrl=stack.outputs["QueueUrl"], MessageBody=body)
    return str(message["MessageId"])


def test_a_message_on_the_queue_becomes_a_stored_verdict(
    api: Api, stack: Stack, recorded: Recorded
) -> None:
    text = says(recorded, "by the queue", gpt_4_1="unsafe", gemini_2_5_flash="unsafe")
    message = send(stack, json.dumps({"tenant": TENANT, "content": text, "id": "post-7"}))
    address = f"verdicts/{verdict_id_of(TENANT, message)}"
    patience = time.monotonic() + SOON_SECONDS
    while (answer := api.get(address)).status_code == 404 and time.monotonic() < patience:
        time.sleep(0.2)
    assert answer.json()["decision"] == "unsafe"
    assert answer.json()["content_id"] == "post-7"


def test_poison_ends_in_the_dead_letters_with_its_reason(stack: Stack) -> None:
    queue, poison = stack.client("sqs"), "this is no JSON either"
    send(stack, poison)
    patience = time.monotonic() + SOON_SECONDS
    reasons: dict[str, str] = {}
    while poison not in reasons and time.monotonic() < patience:
        received = queue.receive_message(
            QueueUrl=stack.outputs["DeadLettersUrl"],
            WaitTimeSeconds=1,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["reason"],
        )
        for letter in received.get("Messages", []):
            reasons[letter["Body"]] = letter["MessageAttributes"]["reason"]["StringValue"]
    assert reasons[poison] == "not JSON"


def test_the_content_is_in_no_log(api: Api, stack: Stack) -> None:
    api.judge("an unmistakable zanzibar of a text")
    api.judge("an unmistakable zanzibar of a text", panel="embedded")
    written = StateDirectory(stack.folder).log.read_text()
    assert "verdict" in written
    assert "zanzibar" not in written


def as_function(stack: Stack, function: str, service: str) -> Any:
    """A client with the permissions of a function's role."""
    role = stack.client("lambda").get_function_configuration(
        FunctionName=stack.resources[function]
    )["Role"]
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
    }
    stack.client("iam").update_assume_role_policy(
        RoleName=role.rsplit("/", 1)[-1], PolicyDocument=json.dumps(trust)
    )
    lent = stack.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    return boto3.client(
        service,  # type: ignore[call-overload] # any service of the stack
        endpoint_url=stack.endpoint,
        region_name="us-east-1",
        aws_access_key_id=lent["AccessKeyId"],
        aws_secret_access_key=lent["SecretAccessKey"],
        aws_session_token=lent["SessionToken"],
    )


@pytest.mark.parametrize(
    ("function", "service", "action", "arguments"),
    [
        ("AuthorizeFunction", "dynamodb", "scan", {"TableName": "{VerdictsTable}"}),
        ("AuthorizeFunction", "dynamodb", "scan", {"TableName": "{KeysTable}"}),
        ("AggregateFunction", "secretsmanager", "get_secret_value", {"SecretId": "quorum/gateway"}),
        ("RulesFunction", "dynamodb", "scan", {"TableName": "{UsageTable}"}),
        ("Gpt41Function", "dynamodb", "scan", {"TableName": "{VerdictsTable}"}),
        ("AggregateFunction", "dynamodb", "scan", {"TableName": "{KeysTable}"}),
        ("BatchFunction", "secretsmanager", "get_secret_value", {"SecretId": "quorum/gateway"}),
    ],
)
def test_a_function_may_not_do_what_is_not_its_business(
    stack: Stack, function: str, service: str, action: str, arguments: dict[str, str]
) -> None:
    client = as_function(stack, function, service)
    resolved = {name: value.format(**stack.outputs) for name, value in arguments.items()}
    with pytest.raises(client.exceptions.ClientError, match=r"AccessDenied|not authorized"):
        getattr(client, action)(**resolved)


def test_verdicts_are_listed_newest_first_by_filter_and_tenant(
    stack: Stack, recorded: Recorded
) -> None:
    api = Api(stack, stack.new_key(Caller(tenant="lists")))
    threat = says(recorded, "listed threat", gemini_2_5_flash="unsafe", deepseek_v3_2="unsafe")
    stored = [api.judge(text)["id"] for text in (says(recorded, "listed, kind"), threat)]
    patience = time.monotonic() + SOON_SECONDS  # an index follows its table
    while len(listed := api.get("verdicts").json()["verdicts"]) < 2 and time.monotonic() < patience:
        time.sleep(0.2)
    assert [one["id"] for one in listed] == stored[::-1]
    unsafe = api.get("verdicts?decision=unsafe&panel=default").json()
    assert [one["id"] for one in unsafe["verdicts"]] == stored[1:]
    first = api.get("verdicts?limit=1").json()
    assert [one["id"] for one in first["verdicts"]] == stored[1:]
    second = api.get(f"verdicts?limit=1&next={first['next']}").json()
    assert [one["id"] for one in second["verdicts"]] == stored[:1]
    at = listed[0]["created_at"]
    for end, expected in (("from", stored[1:]), ("to", stored[:1])):
        found = api.get(f"verdicts?{end}={at}").json()
        assert [one["id"] for one in found["verdicts"]] == expected
    named = api.post("verdicts", {"content": threat, "metadata": {"thread": 7}}).json()["id"]
    patience = time.monotonic() + SOON_SECONDS
    while time.monotonic() < patience:
        if found := api.get("verdicts?metadata=thread").json()["verdicts"]:
            break
        time.sleep(0.2)
    assert [one["id"] for one in found] == [named]
    other = Api(stack, stack.new_key(Caller(tenant="lists-other")))
    assert other.get("verdicts").json() == {"verdicts": [], "next": None}
