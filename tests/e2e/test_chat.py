"""Chat over the deployed WebSocket API, with a real client, against the stand-in gateway.

Every answer is made by the deployed function, but for the forty at once: the local stack starts a
process for each answer under way, two seconds each, so those are streamed by the same code in this
process – over the deployed API, tables and connections.
"""

import asyncio
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, contextmanager
from decimal import Decimal
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Self

import pytest
from quorum.app.converse import ConverseContainer
from quorum.app.settings import ConverseSettings
from quorum.aws import loop
from quorum.aws.keys import Caller
from quorum.chat import chat
from quorum.chat.reception import Reception
from quorum.core import registry
from quorum.gateway.deadline import Deadline
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from fakes.gateway import Fault, ModelScenario, StandIn
from local.state import Stack
from tests.e2e.conftest import Api, Recorded, says
from tests.template import ROOT

if TYPE_CHECKING:
    from quorum.chat.chat import Asked

MODEL = "gpt-4.1-nano"
PATIENCE_SECONDS = 60
FORTY = 40
Message = dict[str, Any]


class Client:
    """A client of the chat, connected while the block lasts."""

    def __init__(self, url: str, key: str, **options: Any) -> None:
        self._opening = connect(url, additional_headers={"x-api-key": key}, **options)
        self._messages: list[Message] = []

    def __enter__(self) -> Self:
        self._connected = self._opening.__enter__()
        return self

    def __exit__(self, *how: object) -> None:
        self._opening.__exit__(*how)

    def say(self, prompt: str, request_id: str, **changes: Any) -> None:
        asked = {"action": "chat", "prompt": prompt, "model": MODEL, "request_id": request_id}
        self.send(asked | changes)

    def send(self, message: Message) -> None:
        self._connected.send(json.dumps(message))

    def receive(self) -> Message:
        message: Message = json.loads(self._connected.recv(timeout=PATIENCE_SECONDS))
        assert len(json.dumps(message).encode()) <= chat.MESSAGE_BYTES
        self._messages.append(message)
        return message

    def first_token(self, request_id: str) -> Message:
        while (found := self.receive())["request_id"] != request_id:
            pass
        assert found["type"] == "token", found
        return found

    def last(self, request_id: str) -> Message:
        """What ends the answer to `request_id`."""
        for message in self._messages:
            if message["request_id"] == request_id and message["type"] != "token":
                return message
        while (found := self.receive())["request_id"] != request_id or found["type"] == "token":
            pass
        return found

    def text(self, request_id: str) -> str:
        """The tokens that came of the answer to `request_id`, in order."""
        tokens = [
            message
            for message in self._messages
            if message["type"] == "token" and message["request_id"] == request_id
        ]
        assert [token["index"] for token in tokens] == list(range(len(tokens)))
        return "".join(token["content"] for token in tokens)


@pytest.fixture(scope="module")
def key(stack: Stack) -> str:
    """A tenant's own, so that its ledger is of these tests alone."""
    return stack.new_key(Caller(tenant="chat"))


@pytest.fixture(scope="module")
def warm(stack: Stack, key: str) -> None:
    """The functions' processes are started; none of the tests is about that."""
    with Client(stack.chat, key) as client:
        client.say("Warming up.", "warm")
        assert client.last("warm")["type"] == "complete"


@pytest.fixture
def client(stack: Stack, key: str, warm: None) -> Iterator[Client]:
    with Client(stack.chat, key) as one:
        yield one


@pytest.fixture
def ledger(stack: Stack, key: str) -> Callable[[], tuple[Decimal, int]]:
    """What is booked to the tenant: dollars, and tokens of answers."""
    api = Api(stack, key)

    def read() -> tuple[Decimal, int]:
        totals = api.get("costs").json()["totals"]
        assert totals["open_calls"] == 0
        return Decimal(totals["cost_usd"]), int(totals["output_tokens"])

    return read


def billed(stand_in: StandIn) -> tuple[Decimal, int]:
    """What the stand-in billed for the model: dollars, and tokens of answers."""
    entries = [entry for (model, _), entry in stand_in.count.billed.items() if model == MODEL]
    cost = sum((entry.cost_usd for entry in entries), Decimal(0))
    return cost, sum(entry.output for entry in entries)


def calls(stand_in: StandIn) -> int:
    """How many answers of the model have ended."""
    return sum(entry.calls for (model, _), entry in stand_in.count.billed.items() if model == MODEL)


def behave(stand_in: StandIn, *script: Fault, tokens: int = 64, **model: Any) -> None:
    """How the stand-in answers, for this test."""
    changes = {"every_model": ModelScenario(**model), "output_tokens": tokens, "script": script}
    stand_in.scenario = stand_in.scenario.model_copy(update=changes)


Ledger = Callable[[], tuple[Decimal, int]]


def until(happened: Callable[[], bool]) -> None:
    patience = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        assert time.monotonic() < patience
        time.sleep(0.05)


def test_tokens_arrive_as_they_are_made_and_the_ledger_is_the_stand_ins_count(
    client: Client, stand_in: StandIn, ledger: Ledger
) -> None:
    behave(stand_in, tokens=30, tokens_per_second=20)
    before, booked, ended = billed(stand_in)[0], ledger()[0], calls(stand_in)
    client.say("Why is the sky blue?", "one")
    client.first_token("one")
    # The stand-in has not said its last token yet: it bills an answer when it ends.
    assert calls(stand_in) == ended
    last = client.last("one")
    assert last["type"] == "complete"
    assert last["full_response"] == client.text("one")
    assert last["usage"]["completion_tokens"] == 30
    assert last["tokens_sent"] > 2
    assert last["finish_reason"] == "stop"
    assert Decimal(last["cost_usd"]) == billed(stand_in)[0] - before == ledger()[0] - booked > 0


def test_cancel_stops_the_model_and_says_what_it_cost(
    client: Client, stand_in: StandIn, ledger: Ledger
) -> None:
    behave(stand_in, tokens=2_000, tokens_per_second=20)
    before, booked = billed(stand_in), ledger()
    client.say("Tell me everything.", "one", max_tokens=2_000)
    client.first_token("one")
    client.send({"action": "cancel", "request_id": "one"})
    last = client.last("one")
    assert last["type"] == "cancelled"
    until(lambda: billed(stand_in) != before)
    made = billed(stand_in)[1] - before[1]
    assert made < 200  # of 2,000; what it takes in seconds is in `make bench-chat`
    # The gateway does not say what a stopped stream cost: counted, and a few tokens under way.
    assert 0 < last["usage"]["completion_tokens"] <= made
    assert ledger()[1] - booked[1] == last["usage"]["completion_tokens"]
    assert ledger()[0] - booked[0] == Decimal(last["cost_usd"]) <= billed(stand_in)[0] - before[0]
    assert last["cost_estimated"]


def test_a_client_that_leaves_stops_the_model_and_what_it_got_is_booked(
    stack: Stack, key: str, warm: None, stand_in: StandIn, ledger: Ledger
) -> None:
    behave(stand_in, tokens=2_000, tokens_per_second=20)
    before, booked = billed(stand_in), ledger()
    with Client(stack.chat, key) as client:
        client.say("Tell me everything.", "one", max_tokens=2_000)
        client.first_token("one")
        got = len(client.text("one").split())
    until(lambda: billed(stand_in) != before)
    made = billed(stand_in)[1] - before[1]
    assert made < 200  # of 2,000

    def booked_now() -> bool:
        totals = Api(stack, key).get("costs").json()["totals"]
        return int(totals["open_calls"]) == 0

    until(booked_now)
    assert got <= ledger()[1] - booked[1] <= made


def test_a_stream_cut_upstream_is_an_error_with_what_was_paid(
    client: Client, stand_in: StandIn, ledger: Ledger
) -> None:
    behave(stand_in, Fault.CUT, tokens=30)
    before, booked = billed(stand_in)[0], ledger()[0]
    client.say("Why is the sky blue?", "one")
    last = client.last("one")
    assert (last["type"], last["code"]) == ("error", "stream_cut")
    assert last["usage"]["completion_tokens"] == len(client.text("one").split()) == 15
    paid = Decimal(last["cost_usd"])
    assert 0 < paid == ledger()[0] - booked <= billed(stand_in)[0] - before


def test_a_slow_client_gets_a_long_answer_whole(
    stack: Stack, key: str, warm: None, stand_in: StandIn
) -> None:
    words = " ".join(f"{number:060d}" for number in range(2_400))  # over one message's limit
    behave(stand_in, reply=words, tokens_per_second=100_000)
    with Client(stack.chat, key, max_queue=1) as client:
        client.say("Tell me everything.", "one", max_tokens=16_384)
        client.first_token("one")
        time.sleep(1.5)  # it is busy with something else
        last = client.last("one")
        assert client.text("one") == words
    assert last["full_response"] is None
    assert last["full_response_omitted"]


def test_two_conversations_share_a_connection(client: Client, stand_in: StandIn) -> None:
    behave(stand_in, tokens=64, tokens_per_second=20)
    client.say("One?", "one")
    client.say("Two?", "two")
    ends = [client.last("one"), client.last("two")]
    texts = [client.text("one"), client.text("two")]
    assert [end["full_response"] for end in ends] == texts
    assert texts[0] != texts[1]
    assert ends[0]["conversation"] != ends[1]["conversation"]


def test_a_conversation_goes_on_and_is_its_tenants_own(
    client: Client, stack: Stack, stand_in: StandIn
) -> None:
    client.say("My name is Kim.", "one", system="Be kind.")
    first = client.last("one")
    client.say("What is my name?", "two", conversation=first["conversation"])
    second = client.last("two")
    assert (second["conversation"], second["dropped_turns"]) == (first["conversation"], 0)
    asked = stand_in.bodies[-1]["messages"]
    assert [message["content"] for message in asked] == [
        "Be kind.",
        "My name is Kim.",
        first["full_response"],
        "What is my name?",
    ]
    stranger = stack.new_key(Caller(tenant="stranger"))
    with Client(stack.chat, stranger) as other:
        other.say("What is my name?", "one", conversation=first["conversation"])
        assert other.last("one")["code"] == "conversation_not_found"


def test_a_kept_answer_costs_nothing(client: Client) -> None:
    client.say("What is certain?", "one", temperature=0)
    bought = client.last("one")
    client.say("What is certain?", "two", temperature=0)
    kept = client.last("two")
    assert (bought["cached"], kept["cached"]) == (False, True)
    assert kept["full_response"] == bought["full_response"] == client.text("two")
    assert (kept["cost_usd"], kept["saved_usd"]) == ("0", bought["cost_usd"])


def test_an_unsafe_answer_is_withdrawn_while_it_streams(
    client: Client, stand_in: StandIn, recorded: Recorded
) -> None:
    # New every time: a text judged before would be judged from kept votes, for nothing.
    bad = f"Chat made up {token_hex(4)}."
    says(recorded, bad, gpt_4_1="unsafe", gemini_2_5_flash="unsafe")
    answering = ModelScenario(reply=f"{bad} " + "and so on " * 500, tokens_per_second=30)
    voting = {model.gateway_name: ModelScenario() for model in registry.MODELS}
    changes = {"models": voting | {MODEL: answering}}
    stand_in.scenario = stand_in.scenario.model_copy(update=changes)
    before = billed(stand_in)[1]
    client.say("Say something bad.", "one", max_tokens=4_000, moderate={"answer": True})
    client.first_token("one")
    last = client.last("one")
    assert (last["type"], last["reason"]) == ("withdrawn", "unsafe")
    assert Decimal(last["cost_usd"]) > 0
    assert Decimal(last["moderation"]["cost_usd"]) > 0
    until(lambda: billed(stand_in)[1] != before)
    assert billed(stand_in)[1] - before < 1_000  # of 1,500


def test_an_answer_that_cannot_be_judged_is_withdrawn_too(
    client: Client, stand_in: StandIn
) -> None:
    behave(stand_in, reply="Every model says this, the voters too.")
    client.say("Say something.", "one", moderate={"answer": True})
    last = client.last("one")
    assert (last["type"], last["reason"]) == ("withdrawn", "unchecked")


def test_an_unsafe_prompt_is_not_asked(
    client: Client, stand_in: StandIn, recorded: Recorded
) -> None:
    bad = says(recorded, "Chat asked this to be bad", gpt_4_1="unsafe", gemini_2_5_flash="unsafe")
    ended = calls(stand_in)
    client.say(bad, "one", moderate={"prompt": True})
    last = client.last("one")
    assert (last["code"], last["reason"]) == ("prompt_unsafe", "unsafe")
    assert calls(stand_in) == ended


def test_what_cannot_be_answered_is_said_with_field_and_limit(client: Client) -> None:
    client.say("Hello?", "one", model="gpt-9")
    unknown = client.last("one")
    assert (unknown["code"], unknown["field"]) == ("invalid_model", "model")
    assert MODEL in unknown["message"]
    client.say("Hello?", "two", temperature=3)
    hot = client.last("two")
    assert (hot["code"], hot["field"], hot["limit"]) == ("invalid_temperature", "temperature", 2)
    client.send({"action": "sing", "request_id": "three"})
    assert client.last("three")["code"] == "invalid_action"


def test_a_key_may_come_in_the_address(stack: Stack, key: str, warm: None) -> None:
    with connect(f"{stack.chat}?key={key}") as connected:
        connected.send("nonsense")
        assert json.loads(connected.recv(timeout=PATIENCE_SECONDS))["code"] == "invalid_json"


def test_several_functions_answer_at_once(
    stack: Stack, key: str, warm: None, stand_in: StandIn
) -> None:
    behave(stand_in, tokens=60, tokens_per_second=20)
    with ExitStack() as connected:
        clients = [connected.enter_context(Client(stack.chat, key)) for _ in range(4)]
        for number, one in enumerate(clients):
            one.say(f"Question {number}?", "one")
        ends = [one.last("one") for one in clients]
        texts = [one.text("one") for one in clients]
    assert [end["full_response"] for end in ends] == texts
    assert len(set(texts)) == 4


def test_the_example_of_the_documentation_runs(
    stack: Stack,
    key: str,
    warm: None,
    stand_in: StandIn,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("CHAT", stack.chat)
    monkeypatch.setenv("KEY", key)
    behave(stand_in, reply="Because of Rayleigh scattering.")
    shown = re.findall(r"```python\n(.*?)```", (ROOT / "docs/chat.md").read_text(), re.DOTALL)
    (example,) = (block for block in shown if "websockets" in block)
    exec(compile(example, "chat.md", "exec"), {})  # noqa: S102 - our own
    assert capsys.readouterr().out.startswith("Because of Rayleigh scattering.{'prompt_tokens'")


# ---- the command line ---------------------------------------------------------------------------


@contextmanager
def quorum_chat(stack: Stack, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-m", "cli.app", "chat", "--model", MODEL, *arguments],
        cwd=ROOT,
        env={"QUORUM_LOCAL": str(stack.folder), "PATH": "", "COLUMNS": "120"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        yield running


def test_a_question_on_the_command_line_is_answered_with_its_cost(
    stack: Stack, warm: None, stand_in: StandIn
) -> None:
    behave(stand_in, reply="Because of Rayleigh scattering.")
    with quorum_chat(stack, "Why is the sky blue?") as asked:
        shown, wrong = asked.communicate(timeout=PATIENCE_SECONDS)
    assert asked.returncode == 0, wrong
    answer, cost = shown.strip().splitlines()
    assert answer == "Because of Rayleigh scattering."
    assert cost.startswith(f"{MODEL} · ")
    assert "$0.0000" in cost


def test_an_interrupt_stops_the_answer_and_not_the_session(
    stack: Stack, warm: None, stand_in: StandIn
) -> None:
    behave(stand_in, tokens=2_000, tokens_per_second=20)
    with quorum_chat(stack, "--max-tokens", "2000") as session:
        assert session.stdin is not None
        assert session.stdout is not None
        session.stdin.write("Tell me everything.\n")
        session.stdin.flush()
        begun = ""
        while len(begun.removeprefix("you").split()) < 3:  # words of the answer
            begun += session.stdout.read(1)
        session.send_signal(signal.SIGINT)
        behave(stand_in, reply="Enough.")
        shown, wrong = session.communicate("And now?\n", timeout=PATIENCE_SECONDS)
    assert session.returncode == 0, wrong
    assert "cancelled · " in shown
    assert "Enough." in shown


# ---- forty at once ----------------------------------------------------------------------------


@pytest.fixture
def opened(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[ConverseContainer]:
    """What the streaming function opens, opened here."""
    for name, value in stack.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("POWERTOOLS_METRICS_DISABLED", "true")
    configured = stack.client("lambda").get_function_configuration(
        FunctionName=stack.resources["ConverseFunction"]
    )
    variables = {
        name.lower(): value
        for name, value in configured["Environment"]["Variables"].items()
        if value
    }
    fields = ConverseSettings.model_fields
    container = ConverseContainer(
        ConverseSettings.model_validate(
            {name: value for name, value in variables.items() if name in fields}
        )
    )
    yield container
    loop.run(container.gateway.close())


def connections(stack: Stack) -> dict[str, str]:
    """Tenant → one of its connections that are open."""
    items = stack.resource().Table(stack.outputs["ConversationsTable"]).scan()["Items"]
    return {
        str(item["tenant"]): str(item["key"]).removeprefix("connection#")
        for item in items
        if item["entry"] == "connection"
    }


async def heard(connected: Any) -> tuple[str, Message]:
    """The text that came in tokens, and the last message."""
    text = ""
    while True:
        message = json.loads(await asyncio.wait_for(connected.recv(), PATIENCE_SECONDS))
        if message["type"] != "token":
            return text, message
        text += message["content"]


async def conversations_at_once(
    stack: Stack, container: ConverseContainer, keys: dict[str, str]
) -> dict[str, tuple[str, Message]]:
    """Tenant → what its client heard."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(32))
    asked: list[Asked] = []
    conversing, conversations = container.conversing, container.conversations
    reception = Reception(
        conversations,
        container.connections,
        asked.append,
        default_model=MODEL,
        admit=lambda _key_hash: None,
    )
    async with AsyncExitStack() as open_:
        clients = {
            tenant: await open_.enter_async_context(
                connect_async(stack.chat, additional_headers={"x-api-key": key})
            )
            for tenant, key in keys.items()
        }
        for tenant, connection in connections(stack).items():
            if tenant in keys:
                said = {"action": "chat", "prompt": f"I am {tenant}.", "model": MODEL}
                reception.receive(connection, json.dumps(said))
        assert {one.tenant for one in asked} == set(keys)
        listening = asyncio.gather(*(heard(one) for one in clients.values()))
        answering = [conversing.converse(one, Deadline.after(PATIENCE_SECONDS)) for one in asked]
        await asyncio.gather(*answering)
        return dict(zip(clients, await listening, strict=True))


def test_forty_conversations_at_once_each_get_their_own_text_whole(
    stack: Stack, warm: None, stand_in: StandIn, opened: ConverseContainer
) -> None:
    behave(stand_in, tokens=20, tokens_per_second=20)
    run = token_hex(4)  # on a stack that is kept there may be others
    keys = {
        tenant: stack.new_key(Caller(tenant=tenant))
        for tenant in (f"{run}-{number}" for number in range(FORTY))
    }
    before = billed(stand_in)[0]
    ends = loop.run(conversations_at_once(stack, opened, keys))
    assert {end["type"] for _, end in ends.values()} == {"complete"}
    assert all(end["full_response"] == text for text, end in ends.values())
    texts = {text for text, _ in ends.values()}
    assert len(texts) == FORTY
    paid = sum(Decimal(end["cost_usd"]) for _, end in ends.values())
    assert paid == billed(stand_in)[0] - before > 0
    operator = Api(stack, stack.operator_key).get("costs?by=tenant").json()
    booked = {row["name"]: Decimal(row["cost_usd"]) for row in operator["rows"]}
    assert sum(booked[tenant] for tenant in keys) == paid
    until(lambda: not connections(stack).keys() & keys)  # whoever leaves is forgotten


def test_who_has_no_key_or_an_unknown_one_does_not_connect(stack: Stack, warm: None) -> None:
    with pytest.raises(InvalidStatus) as refused, Client(stack.chat, "qk_nobodys"):
        pass
    assert refused.value.response.status_code == 403
    with pytest.raises(InvalidStatus) as refused, connect(stack.chat):
        pass
    assert refused.value.response.status_code == 403
