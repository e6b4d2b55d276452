"""OpenAI's own clients, unchanged, at the deployed API's moderations."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from quorum.aws.keys import Caller
from quorum.core.models import Category

from local.stack import Stack
from tests.e2e.conftest import Api, Recorded, says

NODE_PACKAGE = "openai@7.57.0"
NODE_CLIENT = """
import OpenAI from "openai";
const [baseURL, apiKey] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const answer = await client.moderations.create({ input: ["node, kind", "node, a threat"] });
const refused = await client.moderations.create({ input: [] }).catch((error) => error);
const stranger = new OpenAI({ baseURL, apiKey: "nobody's", maxRetries: 0 });
const unknown = await stranger.moderations.create({ input: "x" }).catch((error) => error);
console.log(JSON.stringify({
  flagged: answer.results.map((result) => result.flagged),
  categories: Object.keys(answer.results[0].categories),
  decisions: answer.results.map((result) => result.quorum.decision),
  refused: [refused.constructor.name, refused.status, refused.param],
  unknown: unknown.status,
}));
"""


@pytest.fixture(scope="module")
def key(stack: Stack) -> str:
    """A tenant's own, so that its counters are of these tests alone."""
    return stack.new_key(Caller(tenant="moderations"))


@pytest.fixture
def sdk(stack: Stack, key: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=stack.api, api_key=key, max_retries=0, timeout=60) as client:
        yield client


def threat(recorded: Recorded, text: str) -> str:
    return says(recorded, text, gemini_2_5_flash="unsafe", deepseek_v3_2="unsafe", gpt_4_1="unsafe")


def test_the_python_client_gets_results_in_order_and_the_verdicts_are_booked(
    sdk: openai.OpenAI, stack: Stack, key: str, recorded: Recorded
) -> None:
    texts = [says(recorded, f"kind {number}") for number in range(6)]
    texts.insert(3, threat(recorded, "a threat"))
    answer = sdk.moderations.create(model="omni-moderation-latest", input=texts)
    assert answer.model == "default"
    explained: list[Any] = [(result.model_extra or {})["quorum"] for result in answer.results]
    told = [(one["decision"], one["reason"]) for one in explained]
    decided = ["safe"] * 3 + ["unsafe"] + ["safe"] * 3
    assert [decision for decision, _ in told] == decided, told
    assert [result.flagged for result in answer.results] == [False] * 3 + [True] + [False] * 3
    api = Api(stack, key)
    verdicts = [api.get(f"verdicts/{one['verdict_id']}").json() for one in explained]
    assert [one["decision"] for one in verdicts] == [one["decision"] for one in explained]
    booked = api.get("costs?by=decision").json()["decisions"]
    assert booked == {"safe": 6, "unsafe": 1, "needs_review": 0}


def test_the_processes_of_all_lambdas_share_their_unpacked_layers(stack: Stack) -> None:
    layers = [name for name in stack.resources if "Layer" in name]
    assert 0 < len(list((stack.folder / "scratch").glob("layer-*"))) <= len(layers)


def test_the_python_client_raises_the_error_that_names_its_parameter(
    sdk: openai.OpenAI, stack: Stack
) -> None:
    image: Any = [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]
    with pytest.raises(openai.BadRequestError, match="images cannot be judged") as refused:
        sdk.moderations.create(input=image)
    assert refused.value.param == "input.0.type"
    with pytest.raises(openai.BadRequestError, match="100"):
        sdk.moderations.create(input=["x"] * 101)
    with pytest.raises(openai.BadRequestError, match="there is no panel") as unknown:
        sdk.moderations.create(input="x", model="gpt-4")
    assert unknown.value.param == "model"
    with pytest.raises(openai.AuthenticationError):
        sdk.with_options(api_key="nobody's").moderations.create(input="x")


def test_a_key_may_flag_what_needs_a_review(stack: Stack, recorded: Recorded) -> None:
    text = says(recorded, "undecided", gemini_2_5_flash="needs_review", deepseek_v3_2="unsafe")
    for flags in (False, True):
        key = stack.new_key(Caller(tenant="moderations", review_is_flagged=flags))
        with openai.OpenAI(base_url=stack.api, api_key=key, max_retries=0) as client:
            (result,) = client.moderations.create(input=text).results
        assert (result.model_extra or {})["quorum"]["decision"] == "needs_review"
        assert result.flagged is flags


def test_the_node_client_gets_results_and_errors(
    stack: Stack, key: str, recorded: Recorded, tmp_path: Path
) -> None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip(reason="there is no node with npm on this machine")
    install = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", NODE_PACKAGE]
    installed = subprocess.run(install, cwd=tmp_path, capture_output=True, text=True, check=False)
    if installed.returncode:
        pytest.skip(reason="npm cannot install openai: there is no network or no registry")
    says(recorded, "node, kind")
    threat(recorded, "node, a threat")
    script = tmp_path / "client.mjs"
    script.write_text(NODE_CLIENT)
    done = subprocess.run(
        [node, str(script), stack.api, key], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["flagged"] == [False, True]
    assert found["decisions"] == ["safe", "unsafe"]
    assert found["categories"] == [str(category) for category in Category]
    assert found["refused"] == ["BadRequestError", 400, "input"]
    assert found["unknown"] == 401
