"""OpenAI's own clients, unchanged, at the deployed API's moderations."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from quorum.aws.keys import Caller
from quorum.core.models import Category

from local.state import Stack
from tests import node
from tests.e2e.conftest import Api, Recorded, says

NODE_PACKAGE = "openai@7.57.0"
NODE_CLIENT = """
import OpenAI from "openai";
const { API: baseURL, KEY, READER, LIMITED } = process.env;
const client = (apiKey, maxRetries = 0) => new OpenAI({ baseURL, apiKey, maxRetries });
const judged = (apiKey, input, maxRetries) =>
  client(apiKey, maxRetries).moderations.create({ input }).catch((error) => error);
const told = (error, field = "code") => [error.constructor.name, error.status, error[field]];
const answer = await judged(KEY, ["node, kind", "node, a threat"]);
let limited = {};
for (let asked = 0; asked < 60 && limited.status !== 429; asked++)
  limited = await judged(LIMITED, "Thanks.");
console.log(JSON.stringify({
  flagged: answer.results.map((result) => result.flagged),
  categories: Object.keys(answer.results[0].categories),
  decisions: answer.results.map((result) => result.quorum.decision),
  refused: told(await judged(KEY, []), "param"),
  unknown: told(await judged("nobody's", "x")),
  reader: told(await judged(READER, "x")),
  limited: told(limited),
  patient: (await judged(LIMITED, "Thanks.", 2)).model,
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
    texts = [says(recorded, "kind"), threat(recorded, "a threat"), says(recorded, "kind, too")]
    answer = sdk.moderations.create(model="omni-moderation-latest", input=texts)
    assert answer.model == "default"
    explained: list[Any] = [(result.model_extra or {})["quorum"] for result in answer.results]
    told = [(one["decision"], one["reason"]) for one in explained]
    decided = ["safe", "unsafe", "safe"]
    assert [decision for decision, _ in told] == decided, "\n".join(map(str, told))
    assert [result.flagged for result in answer.results] == [False, True, False]
    api = Api(stack, key)
    verdicts = [api.get(f"verdicts/{one['verdict_id']}").json() for one in explained]
    assert [one["decision"] for one in verdicts] == [one["decision"] for one in explained]
    booked = api.get("costs?by=decision").json()["decisions"]
    assert booked == {"safe": 2, "unsafe": 1, "needs_review": 0}


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
    stack: Stack, key: str, recorded: Recorded
) -> None:
    says(recorded, "node, kind")
    threat(recorded, "node, a threat")
    keys = {
        "KEY": key,
        "READER": stack.new_key(Caller(tenant="moderations", scopes=("batch",))),
        # The first that is too many (the 21st, or a later one where they take seconds) is told to
        # wait for three seconds, and does.
        "LIMITED": stack.new_key(
            Caller(tenant="moderations", panel="embedded", requests_per_minute=20)
        ),
    }
    found = node.run(NODE_PACKAGE, NODE_CLIENT, API=stack.api, **keys)
    assert found["flagged"] == [False, True]
    assert found["decisions"] == ["safe", "unsafe"]
    assert found["categories"] == [str(category) for category in Category]
    assert found["refused"] == ["BadRequestError", 400, "input"]
    # MiniStack leaves out the body of an answer that API Gateway makes itself.
    assert found["unknown"][:2] == ["AuthenticationError", 401]
    assert found["reader"] == ["PermissionDeniedError", 403, "scope_missing"]
    assert found["limited"] == ["RateLimitError", 429, "rate_limited"]
    assert found["patient"] == "embedded"
