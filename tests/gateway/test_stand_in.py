"""The stand-in gateway itself, which other tests and the benchmarks rely on."""

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from quorum.core import registry
from quorum.core.normalise import normalise
from quorum.vote import voter

from fakes.gateway import Fault, ModelScenario, RecordedVotes

ASKED = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 5}


def _ask(base_url: str, **changed: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {changed.pop('key', 'k')}"}
    url = f"{base_url}/chat/completions"
    return httpx.post(url, json=ASKED | changed, headers=headers, trust_env=False, timeout=60)


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault.THROTTLED, 429),
        (Fault.TIMED_OUT, 408),
        (Fault.CONFLICT, 409),
        (Fault.SERVER_ERROR, 500),
        (Fault.BAD_GATEWAY, 502),
        (Fault.UNAVAILABLE, 503),
    ],
)
def test_a_scripted_fault_is_met_once_and_not_billed(
    stand_in: Any, fault: Fault, status: int
) -> None:
    there = stand_in(fault, retry_after="7")
    first, second = _ask(there.base_url), _ask(there.base_url)
    assert (first.status_code, second.status_code) == (status, 200)
    assert first.headers.get("retry-after") == ("7" if status == 429 else None)
    assert there.count.billed["gpt-4.1", "k"].calls == 1


def test_a_reset_is_one(stand_in: Any) -> None:
    with pytest.raises(httpx.ReadError):
        _ask(stand_in(Fault.RESET).base_url)


def test_keys_and_models_it_does_not_know_are_refused(stand_in: Any) -> None:
    there = stand_in(keys={"sk-good": "acme"}, missing_models=("gpt-4.1-nano",))
    assert _ask(there.base_url, key="sk-bad").status_code == 401
    assert _ask(there.base_url, key="sk-good", model="gpt-4.1-nano").status_code == 404
    assert _ask(there.base_url, key="sk-good").status_code == 200
    assert set(there.count.billed) == {("gpt-4.1", "acme")}


def test_the_same_seed_meets_the_same_faults_and_gives_the_same_answers(stand_in: Any) -> None:
    def met(seed: int) -> list[Any]:
        there = stand_in(seed=seed, rates={Fault.SERVER_ERROR: 0.5})
        answers = [_ask(there.base_url) for _ in range(12)]
        return [
            answer.json()["choices"][0]["message"]["content"] if answer.is_success else None
            for answer in answers
        ]

    assert met(3) == met(3)
    assert met(3) != met(4)


def test_its_count_is_its_usage_at_the_registrys_prices(stand_in: Any) -> None:
    there = stand_in()
    usage = _ask(there.base_url).json()["usage"]
    price = registry.model("gpt-4.1").price
    billed = usage["prompt_tokens"] * price.input + usage["completion_tokens"] * price.output
    counted = httpx.get(f"{there.base_url.removesuffix('/v1')}/_count", trust_env=False).json()
    assert Decimal(counted["cost_usd"]) == billed / 1_000_000
    assert counted["billed"]["gpt-4.1"]["k"]["output"] == usage["completion_tokens"] == 5
    assert (counted["requests"], counted["faults"]) == (1, {"none": 1})


def test_a_sliding_minutes_limit_is_kept(stand_in: Any) -> None:
    limited = ModelScenario(tokens_per_minute=20)
    there = stand_in(models={"gpt-4.1": limited})
    statuses = [_ask(there.base_url).status_code for _ in range(4)]
    assert statuses == [200, 200, 429, 429]  # 8 tokens each


def test_a_new_scenario_begins_afresh(stand_in: Any) -> None:
    there = stand_in(Fault.SERVER_ERROR)
    there.scenario = there.scenario.model_copy(update={"script": (Fault.UNAVAILABLE,)})
    assert [_ask(there.base_url).status_code for _ in range(2)] == [503, 200]


def test_it_starts_by_one_command_and_answers_votes_as_recorded(tmp_path: Path) -> None:
    votes, scenario = tmp_path / "votes.csv", tmp_path / "scenario.json"
    votes.write_text("text,gold,gpt-4.1-2025-04-14\n Hello  you ,safe,unsafe\n", encoding="utf-8")
    scenario.write_text(json.dumps({"every_model": {"latency_ms": 1}}), encoding="utf-8")
    command = [sys.executable, "-m", "fakes.gateway", "--port", "0"]
    command += ["--scenario", str(scenario), "--votes", str(votes)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            base_url = process.stdout.readline().strip()
            messages = voter.messages(normalise("Hello you"))
            answer = _ask(base_url, messages=messages, max_tokens=200).json()
        finally:
            process.terminate()
    vote = json.loads(answer["choices"][0]["message"]["content"])
    assert vote["decision"] == "unsafe"


def test_recorded_votes_know_a_model_by_its_alias() -> None:
    recorded = RecordedVotes({"hello": {"deepseek-v3.2": "safe"}})
    assert recorded.decision("deepseek-v3.2", "hello") == "safe"
    assert recorded.decision("gpt-4.1", "hello") is None


def _streamed(base_url: str, **changed: Any) -> list[dict[str, Any]]:
    lines = _ask(base_url, stream=True, **changed).text.split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]


def test_a_stream_begins_with_the_role_and_its_usage_comes_only_if_asked_for(stand_in: Any) -> None:
    base_url = stand_in().base_url
    plain = _streamed(base_url)
    assert plain[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert [chunk["choices"][0]["finish_reason"] for chunk in plain] == [None] * 6 + ["stop"]
    assert all("usage" not in chunk for chunk in plain)
    assert len({chunk["id"] for chunk in plain}) == 1
    *chunks, last = _streamed(base_url, stream_options={"include_usage": True})
    assert all(chunk["usage"] is None for chunk in chunks)
    assert (last["choices"], last["usage"]["completion_tokens"]) == ([], 5)


def test_a_model_is_known_by_its_aliases(stand_in: Any) -> None:
    there = stand_in()
    assert _ask(there.base_url, model="deepseek-chat").json()["model"] == "deepseek-v3.2"


@pytest.mark.parametrize("body", [b"", b"[", b"[]", b"{}", b'{"messages": [{"content": 1}]}'])
def test_a_body_that_is_no_request_is_a_400(stand_in: Any, body: bytes) -> None:
    url = f"{stand_in().base_url}/chat/completions"
    headers = {"authorization": "Bearer k"}
    answer = httpx.post(url, content=body, headers=headers, trust_env=False)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")


def test_every_answer_says_that_it_is_invented(stand_in: Any) -> None:
    there = stand_in()
    chat = _ask(there.base_url, max_tokens=20).json()
    assert chat["choices"][0]["message"]["content"].startswith(" This answer is invented –")
    assert "invented" in chat["system_fingerprint"]
    listed = httpx.get(f"{there.base_url}/models", trust_env=False).json()["data"]
    assert all("invented" in model["owned_by"] for model in listed)
    messages = voter.messages(normalise("Hello you"))
    vote = _ask(there.base_url, messages=messages).json()["choices"][0]["message"]["content"]
    assert json.loads(vote)["reason"] == "invented by the stand-in"
