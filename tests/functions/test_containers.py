"""A function's container: opened once, kept over many requests, and a key that is rotated."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from quorum.aws import loop
from quorum.gateway.base_urls import REFRESH_SECONDS, REFUSED_SECONDS, RotatingBaseUrls

from fakes.gateway import Scenario, StandIn, running
from functions.api import app as api
from tests.clock import Clock
from tests.functions.conftest import Ask, Faults
from tests.unit.test_panels import voting

SECRET = "quorum/gateway"
HELLO = {"messages": [{"role": "user", "content": "Say hello."}], "use_cache": False}


# ---- panels ----


@pytest.fixture
def post_batch(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Hand in a batch under the tenant's own panel; returns the status."""
    queue = boto3.client("sqs").create_queue(QueueName="items")["QueueUrl"]
    monkeypatch.setenv("ITEMS_QUEUE", queue)
    boto3.client("ssm").put_parameter(
        Name="/quorum/tenants/acme/panels/comments",
        Value=json.dumps(voting("comments")),
        Type="String",
    )
    batch = {"items": [{"content": "a text"}], "panel": "comments"}
    return lambda: ask(batch, name="post_batch.json")[0]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many clients are opened, by service."""
    counted: Counter[str] = Counter()
    open_client: Any = boto3.client

    def counting(service: str, *arguments: Any, **options: Any) -> Any:
        counted[service] += 1
        return open_client(service, *arguments, **options)

    monkeypatch.setattr(boto3, "client", counting)
    return counted


def test_three_batches_open_one_client_of_each_service_and_read_their_panel_once(
    post_batch: Callable[[], int], opened: Counter[str], faults: Faults
) -> None:
    assert [post_batch() for _ in range(3)] == [202] * 3
    assert opened["ssm"] == opened["sqs"] == max(opened.values()) == 1
    assert faults.requests["GetParameter"] == [{"Name": "/quorum/tenants/acme/panels/comments"}]


def test_a_batch_is_taken_under_a_known_panel_while_ssm_is_down(
    post_batch: Callable[[], int], faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PANEL_SECONDS", "0")  # what is known is always due to be read again
    assert post_batch() == 202
    faults.fail("GetParameter")
    before = len(faults.requests["GetParameter"])
    assert post_batch() == 202
    assert len(faults.requests["GetParameter"]) == before + 1


def test_a_batch_under_a_panel_that_was_never_read_waits_for_ssm(
    post_batch: Callable[[], int], faults: Faults
) -> None:
    faults.fail("GetParameter")
    assert post_batch() == 503


# ---- the gateway's key ----


@pytest.fixture
def gateway(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """The gateway the API function asks; it takes the key "old"."""
    boto3.client("secretsmanager").create_secret(Name=SECRET, SecretString="old")
    with running(Scenario(keys={"old": "quorum"})) as one:
        monkeypatch.setenv("GATEWAY_BASE_URL", one.base_url)
        yield one
        if "gateway" in vars(api.app()):
            loop.run(api.app().asking.close())


@pytest.fixture
def moved(gateway: StandIn, clock: Clock) -> Clock:
    """The clock by which the API function reads its key again."""
    app = api.app()
    app.base_urls = RotatingBaseUrls(app.read_base_urls, clock=clock)
    return clock


@pytest.fixture
def complete(ask: Ask) -> Callable[[], int]:
    """Ask for a chat completion that no cache may answer; returns the status."""
    return lambda: ask(HELLO, name="post_chat_completion.json")[0]


def accept(gateway: StandIn, *keys: str) -> None:
    """From now on the gateway takes these keys and no other."""
    accepted = dict.fromkeys(keys, "quorum")
    gateway.scenario = gateway.scenario.model_copy(update={"keys": accepted})


def store(secret: str) -> None:
    """The secret is rotated."""
    boto3.client("secretsmanager").put_secret_value(SecretId=SECRET, SecretString=secret)


def reads(faults: Faults) -> int:
    return len(faults.requests["GetSecretValue"])


def test_the_key_is_read_once_for_many_requests(
    gateway: StandIn, complete: Callable[[], int], faults: Faults
) -> None:
    assert [complete() for _ in range(3)] == [200] * 3
    assert reads(faults) == 1
    assert len(gateway.count.connections) == 1


def test_a_rotated_key_is_taken_up_at_once_when_the_old_one_is_refused(
    gateway: StandIn, complete: Callable[[], int], moved: Clock
) -> None:
    assert complete() == 200
    client = api.app().gateway
    store("new")
    accept(gateway, "new")
    moved.now += REFUSED_SECONDS
    assert complete() == 200
    assert gateway.count.requests == 3, "one answered, one refused, one answered with the new key"
    assert len(gateway.count.connections) == 1
    assert api.app().gateway is client


def test_a_rotated_key_is_taken_up_after_five_minutes_while_both_are_valid(
    gateway: StandIn, complete: Callable[[], int], moved: Clock
) -> None:
    accept(gateway, "old", "new")
    assert complete() == 200
    store("new")
    moved.now += REFRESH_SECONDS
    assert complete() == 200
    accept(gateway, "new")
    assert complete() == 200
    assert gateway.count.requests == 3, "no call met a refusal"
    assert len(gateway.count.connections) == 1


def test_a_key_that_stays_wrong_is_not_read_again_for_every_call(
    gateway: StandIn, complete: Callable[[], int], moved: Clock, faults: Faults
) -> None:
    assert complete() == 200
    accept(gateway, "another")
    moved.now += REFUSED_SECONDS
    assert [complete() for _ in range(3)] == [502] * 3
    assert reads(faults) == 2
    assert gateway.count.requests == 4, "a key that is refused is tried once"


def test_known_keys_stay_in_use_while_the_secret_cannot_be_read(
    gateway: StandIn, complete: Callable[[], int], moved: Clock, faults: Faults
) -> None:
    assert complete() == 200
    faults.fail("GetSecretValue")
    moved.now += REFRESH_SECONDS
    assert [complete() for _ in range(2)] == [200] * 2
    assert reads(faults) == 2


GARBAGE = {
    "cut JSON": '{"gateway.example": "sk-',
    "JSON without this gateway": '{"gateway.example": "sk-1"}',
    "JSON of another form": '{"*": {"key": "sk-1"}}',
    "JSON null": '{"*": null}',
    "more keys than gateways": "sk-1,sk-2",
    "a key no header can carry": "sk-schlüssel",
    "a key of two lines": "sk-1\nsk-2",
}


@pytest.mark.parametrize("secret", GARBAGE.values(), ids=GARBAGE)
def test_a_secret_that_is_no_key_is_a_503_and_is_shown_nowhere(
    gateway: StandIn,
    complete: Callable[[], int],
    capsys: pytest.CaptureFixture[str],
    secret: str,
) -> None:
    store(secret)
    assert complete() == 503
    assert gateway.count.requests == 0
    written = capsys.readouterr()
    assert "sk-" not in written.out + written.err
    store("old")
    assert complete() == 200, "the next request looks again"


def test_garbage_in_the_secret_leaves_the_known_key_in_use(
    gateway: StandIn, complete: Callable[[], int], moved: Clock
) -> None:
    assert complete() == 200
    store(GARBAGE["cut JSON"])
    moved.now += REFRESH_SECONDS
    assert complete() == 200


def test_a_secret_that_cannot_be_read_is_a_503(
    gateway: StandIn, complete: Callable[[], int], faults: Faults
) -> None:
    faults.fail("GetSecretValue")
    assert complete() == 503
    assert gateway.count.requests == 0
