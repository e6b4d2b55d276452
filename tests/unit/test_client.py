"""The Python client over transports: its requests, retries, errors, order and report."""

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from quorum.vote.evaluation import conclude_without_votes
from quorum.vote.policy import DEFAULT

import quorum_client
from quorum_client import (
    AnswerUnreadable,
    AsyncQuorum,
    BudgetSpent,
    Conflict,
    ConnectionFailed,
    Decision,
    Forbidden,
    NotFound,
    Progress,
    Quorum,
    QuorumError,
    RequestRefused,
    Retries,
    ServiceUnavailable,
    StreamCut,
    TimedOut,
    TooManyRequests,
    Unauthorized,
    routes,
)
from tests import make

VERDICT = conclude_without_votes(
    make.evaluation(), "nobody was asked", DEFAULT, now=make.NOW
).model_dump(mode="json")
AT_ONCE = Retries(pause_seconds=0)
Answering = Callable[[httpx.Request], httpx.Response]
URL = "https://quorum.example/v1"


def client(answer: Answering, retries: Retries = AT_ONCE) -> Quorum:
    return Quorum(URL, key="qk_key", retries=retries, transport=httpx.MockTransport(answer))


def in_turn(*answers: httpx.Response | Exception) -> tuple[Answering, list[httpx.Request]]:
    """Answers, one after the other, and the requests they were given to."""
    waiting, seen = iter(answers), list[httpx.Request]()

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        following = next(waiting)
        if isinstance(following, Exception):
            raise following
        return following

    return answer, seen


def verdict(**fields: Any) -> httpx.Response:
    return httpx.Response(200, json=VERDICT | fields)


def refused(status: int, code: str = "failed", **error: Any) -> httpx.Response:
    told = {"code": code, "message": "a reason"} | error
    return httpx.Response(status, json={"error": told})


def test_a_text_is_sent_with_the_key_and_only_the_options_given() -> None:
    answer, seen = in_turn(verdict(cost_usd="0.0000001"))
    given = client(answer).moderate("a text", panel="embedded", metadata={"a": 1})
    assert given.decision is Decision.NEEDS_REVIEW
    assert given.cost_usd == Decimal("0.0000001")
    assert given.votes[0].kind == "abstention"
    (request,) = seen
    assert str(request.url) == f"{URL}/verdicts"
    assert request.headers["x-api-key"] == "qk_key"
    assert json.loads(request.content) == {
        "content": "a text",
        "panel": "embedded",
        "metadata": {"a": 1},
    }


def test_a_result_cannot_be_changed_and_a_field_of_a_later_version_is_ignored() -> None:
    answer, _ = in_turn(verdict(invented_later=1))
    given = client(answer).moderate("a text")
    with pytest.raises(ValueError, match="frozen"):
        given.score = 1.0  # type: ignore[misc] # it must fail


@pytest.mark.parametrize(
    "failure",
    [
        refused(500),
        refused(502),
        refused(503),
        refused(429, "too_many"),
        refused(409, "idempotency_key_in_progress"),
        httpx.ReadTimeout("slow"),
        httpx.ConnectError("no route"),
        httpx.RemoteProtocolError("closed"),
    ],
    ids=lambda failure: getattr(failure, "status_code", type(failure).__name__),
)
def test_what_fails_for_the_moment_is_asked_again_with_the_same_key(
    failure: httpx.Response | Exception,
) -> None:
    answer, seen = in_turn(failure, failure, verdict())
    client(answer).moderate("a text")
    assert len(seen) == 3
    assert len({request.headers["idempotency-key"] for request in seen}) == 1
    assert len({request.content for request in seen}) == 1


def test_two_texts_have_two_keys_and_a_callers_own_key_is_used() -> None:
    answer, seen = in_turn(verdict(), verdict(), verdict())
    there = client(answer)
    there.moderate("the same")
    there.moderate("the same")
    there.moderate("the same", idempotency_key="mine")
    keys = [request.headers["idempotency-key"] for request in seen]
    assert len(set(keys)) == 3
    assert keys[2] == "mine"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, RequestRefused),
        (401, Unauthorized),
        (402, BudgetSpent),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
        (412, Conflict),
        (413, RequestRefused),
        (302, AnswerUnreadable),
    ],
)
def test_what_another_try_cannot_change_is_raised_at_once(
    status: int, kind: type[QuorumError]
) -> None:
    answer, seen = in_turn(refused(status, "a_code", field="content", limit=7))
    with pytest.raises(kind) as raised:
        client(answer).moderate("a text")
    error = raised.value
    assert type(error) is kind
    assert (error.code, error.message, error.status) == ("a_code", "a reason", status)
    assert not error.retryable
    assert len(seen) == 1
    if status != 302:
        assert (error.field, error.limit) == ("content", 7)


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (refused(503), ServiceUnavailable),
        (refused(429), TooManyRequests),
        (httpx.ReadTimeout("slow"), TimedOut),
        (httpx.ConnectError("no route"), ConnectionFailed),
    ],
)
def test_what_keeps_failing_is_raised_after_the_last_try(
    failure: httpx.Response | Exception, kind: type[QuorumError]
) -> None:
    answer, seen = in_turn(*[failure] * 3)
    with pytest.raises(kind) as raised:
        client(answer, Retries(attempts=3, pause_seconds=0)).moderate("a text")
    assert raised.value.retryable
    assert len(seen) == 3


def test_a_refusal_by_the_gateway_in_front_has_its_message() -> None:
    answer, _ = in_turn(httpx.Response(403, json={"message": "Forbidden by a rule"}))
    with pytest.raises(Forbidden, match="Forbidden by a rule") as raised:
        client(answer).moderate("a text")
    assert raised.value.code == "http_403"


@pytest.mark.parametrize(
    "body", [b"<html>Welcome</html>", b'{"hello": "world"}', b"[]", b"[" * 5_000]
)
def test_another_services_answer_is_no_verdict(body: bytes) -> None:
    answer, _ = in_turn(httpx.Response(200, content=body))
    with pytest.raises(AnswerUnreadable):
        client(answer).moderate("a text")


def test_the_pause_is_what_the_deployment_asks_for_else_it_doubles_with_jitter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("random.uniform", lambda _, most: most)
    retries = Retries(attempts=9, pause_seconds=0.5, longest_seconds=3)
    plain = ServiceUnavailable("down", retryable=True)
    assert [retries.pause(attempt, plain) for attempt in (1, 2, 3, 4, 9)] == [
        *(0.5, 1.0, 2.0, 3.0),
        None,
    ]
    asked = TooManyRequests("slower", retryable=True, retry_after_seconds=2)
    assert retries.pause(1, asked) == 2.5
    later = TooManyRequests("slower", retryable=True, retry_after_seconds=300)
    assert retries.pause(1, later) is None


def test_retry_after_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    busy = httpx.Response(429, headers={"retry-after": "7"}, json={})
    answer, _ = in_turn(busy, verdict())
    client(answer).moderate("a text")
    assert slept == [7]


def broken(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(b"{}"))


def test_an_answer_that_cannot_be_unpacked_is_none_of_quorums() -> None:
    with pytest.raises(AnswerUnreadable, match="cannot be read"):
        client(broken).moderate("a text")
    with pytest.raises(StreamCut, match="cannot be read"):
        list(client(broken).chat("Hello?"))


def test_the_asynchronous_client_names_it_alike() -> None:
    async def asked() -> None:
        transport = httpx.MockTransport(broken)
        async with AsyncQuorum(URL, key="qk_key", retries=AT_ONCE, transport=transport) as one:
            with pytest.raises(AnswerUnreadable):
                await one.moderate("a text")
            with pytest.raises(StreamCut):
                [piece async for piece in await one.chat("Hello?")]

    asyncio.run(asked())


def test_a_place_to_upload_to_that_is_no_address_is_named() -> None:
    answer, _ = in_turn(httpx.Response(200, json={"url": "http://[::1", "upload": "u"}))
    with pytest.raises(RequestRefused, match="malformed"):
        client(answer).batch([{"content": "long " * 1_000_000}])


@pytest.mark.parametrize("body", [[], {}, {"id": 5}, {"items": 1, "next": None}, "text", None])
def test_an_answer_of_another_form_is_named(body: Any) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=body)

    with pytest.raises(AnswerUnreadable):
        client(answer).batch(["a text"])
    with pytest.raises(AnswerUnreadable):
        client(answer).run(routes.page("a-batch", 0, AT_ONCE, gaps=True))


ONE_TEXT: list[Callable[[Quorum], Any]] = [
    lambda one: one.moderate_many("one text"),
    lambda one: one.batch("one text"),
    lambda one: one.documents("one text", "summarise"),
]


@pytest.mark.parametrize("ask", ONE_TEXT)
def test_one_text_is_not_judged_letter_by_letter(ask: Callable[[Quorum], Any]) -> None:
    answer, seen = in_turn()
    with pytest.raises(TypeError, match="list"):
        ask(client(answer))
    assert seen == []


def test_half_an_emoji_is_sent_escaped() -> None:
    answer, seen = in_turn(verdict())
    client(answer).moderate("cut \ud83d")
    assert json.loads(seen[0].content)["content"] == "cut \ud83d"


# ---- many ----------------------------------------------------------------------------------


def judged(request: httpx.Request) -> httpx.Response:
    """A verdict named after its text; `bad` is refused, `down` never answered."""
    text = json.loads(request.content)["content"]
    match text.split()[0]:
        case "bad":
            return refused(400, "invalid_content", field="content")
        case "down":
            return refused(503, "unavailable")
        case _:
            return verdict(id=text, decision="safe", cost_usd="0.001", saved_usd="0.0005")


def many(kind: str, texts: Any, answer: Answering = judged, **options: Any) -> Any:
    """The results of the client of that kind."""
    if kind == "sync":
        return client(answer).moderate_many(texts, **options)

    async def run() -> Any:
        transport = httpx.MockTransport(answer)
        async with AsyncQuorum(URL, key="k", retries=AT_ONCE, transport=transport) as there:
            return await there.moderate_many(texts, **options)

    return asyncio.run(run())


both = pytest.mark.parametrize("kind", ["sync", "async"])


@both
def test_results_come_in_the_order_of_the_texts_whichever_is_ready_first(kind: str) -> None:
    texts = [f"text {number}" for number in range(100)]
    found = many(kind, texts, concurrency=7)
    assert [one.verdict.id for one in found] == texts
    assert [one.index for one in found] == list(range(100))
    assert found.report.total_cost_usd == Decimal("0.1")


@both
def test_a_text_that_fails_has_its_error_in_its_place_and_the_others_their_verdicts(
    kind: str,
) -> None:
    found = many(kind, ["one", "bad", "two", "down", "three"])
    errors = [None if one.error is None else one.error.code for one in found]
    assert errors == [None, "invalid_content", None, "unavailable", None]
    assert [one is None for one in found.verdicts] == [False, True, False, True, False]
    report = found.report
    assert report.texts == len(found) == 5
    assert report.decisions == {"safe": 3, "unsafe": 0, "needs_review": 0, "error": 2}
    assert report.errors == {"invalid_content": 1, "unavailable": 1}
    assert (report.total_cost_usd, report.saved_usd) == (Decimal("0.003"), Decimal("0.0015"))
    assert report.cost_per_decision_usd == Decimal("0.001")
    assert json.loads(report.model_dump_json())["total_cost_usd"] == "0.003"


@both
def test_progress_is_told_after_each_text_with_the_cost_so_far(kind: str) -> None:
    told: list[Progress] = []
    many(kind, ["one", "bad", "two"], progress=told.append)
    assert [one.done for one in told] == [1, 2, 3]
    assert told[-1].total == 3
    assert told[-1].cost_usd == Decimal("0.002")
    assert told[-1].decisions == {"safe": 2, "unsafe": 0, "needs_review": 0, "error": 1}


@both
@pytest.mark.parametrize("status", [401, 402, 403])
def test_after_an_error_that_would_meet_all_no_more_texts_are_asked_about(
    kind: str, status: int
) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content)["content"])
        return judged(request) if len(asked) == 1 else refused(status, "no_more")

    found = many(kind, [f"text {number}" for number in range(10)], answer, concurrency=1)
    assert len(asked) == 2
    assert [one.verdict is not None for one in found] == [True] + [False] * 9
    assert found.report.errors == {"no_more": 9}


@both
def test_no_more_texts_are_asked_about_at_once_than_allowed(kind: str) -> None:
    lock, now, most = threading.Lock(), 0, 0

    async def slowly(request: httpx.Request) -> httpx.Response:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.005)
        now -= 1
        return judged(request)

    def blocking(request: httpx.Request) -> httpx.Response:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        threading.Event().wait(0.005)
        with lock:
            now -= 1
        return judged(request)

    answer: Any = blocking if kind == "sync" else slowly
    many(kind, [f"text {number}" for number in range(20)], answer, concurrency=3)
    assert most == 3


@both
def test_texts_are_taken_as_they_are_needed_from_anything_that_gives_them(kind: str) -> None:
    told: list[Progress] = []
    found = many(kind, (f"text {number}" for number in range(3)), progress=told.append)
    assert len(found) == 3
    assert told[0].total is None
    assert len(many(kind, [])) == 0


@both
def test_an_error_of_the_callers_own_progress_ends_the_run(kind: str) -> None:
    def fails(_: Progress) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        many(kind, [f"text {number}" for number in range(50)], progress=fails)


@both
def test_the_alert_about_cost_is_given_once(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="quorum_client"):
        found = many(kind, ["one", "two", "three"], alert_usd=Decimal("0.002"))
    assert [record.message for record in caplog.records] == [
        "the texts judged so far have cost $0.002"
    ]
    assert found.report.alerted


def test_nothing_can_be_asked_by_nobody() -> None:
    with pytest.raises(ValueError, match="concurrency"):
        many("sync", ["one"], concurrency=0)


# ---- batches and documents -------------------------------------------------------------------

PROGRESS: dict[str, Any] = dict.fromkeys(("dead", "pending", "cancelled"), 0) | {
    "id": "b1",
    "state": "complete",
    "items": 3,
    "settled": 2,
    "rejected": 1,
    "decisions": {"safe": 2},
    "cost_usd": "0.01",
    "saved_usd": "0",
}
TAKEN = httpx.Response(202, json={"id": "b1", "state": "running", "source": "items"})


def test_a_batch_is_submitted_followed_and_read_in_the_order_of_its_items() -> None:
    rejected = {"code": "invalid_content", "message": "content: too short", "field": "content"}
    answer, seen = in_turn(
        TAKEN,
        httpx.Response(200, json=PROGRESS | {"state": "running", "settled": 1, "pending": 2}),
        httpx.Response(200, json=PROGRESS),
        httpx.Response(200, json=PROGRESS),
        httpx.Response(200, json={"items": [], "next": 0}),
        httpx.Response(200, json={"items": [{"index": 0, "verdict": VERDICT}], "next": 1}),
        httpx.Response(200, json={"items": [{"index": 1, "rejected": rejected}], "next": None}),
    )
    batch = client(answer).batch(["one", {"content": "two", "id": "2"}], alert_usd=Decimal("0.5"))
    states: list[str] = []
    ended = batch.wait(lambda so_far: states.append(so_far.state), poll_seconds=0)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("time.sleep", lambda _: None)
        results = list(batch.results())
    assert states == ["running", "complete"]
    assert ended.cost_usd == Decimal("0.01")
    assert [result.index for result in results] == [0, 1]
    assert results[1].rejected is not None
    assert results[1].rejected.field == "content"
    assert json.loads(seen[0].content) == {
        "alert_usd": "0.5",
        "items": [{"content": "one"}, {"content": "two", "id": "2"}],
    }
    assert "idempotency-key" in seen[0].headers


def test_a_running_batch_gives_what_is_settled_and_waits_for_nothing() -> None:
    answer, seen = in_turn(
        httpx.Response(200, json=PROGRESS | {"state": "running", "pending": 1}),
        httpx.Response(200, json={"items": [{"index": 4, "verdict": VERDICT}], "next": 5}),
        httpx.Response(200, json={"items": [], "next": 5}),
    )
    there = client(answer)
    assert [result.index for result in quorum_client.Batch(there, "b1").results()] == [4]
    assert seen[1].url.params["gaps"] == "true"


def uploading(seen: list[httpx.Request]) -> Answering:
    """A deployment whose uploads lead elsewhere."""

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if request.url.path.endswith("/uploads"):
            place = {"upload": f"uploads/{len(seen)}", "url": "https://bucket.example/put?sig=1"}
            return httpx.Response(201, json=place)
        return httpx.Response(200) if request.method == "PUT" else TAKEN

    return answer


def test_a_long_batch_is_uploaded_and_the_key_stays_at_home() -> None:
    seen: list[httpx.Request] = []
    client(uploading(seen)).batch(f"text {number}" for number in range(1_001))
    place, put, submitted = seen
    assert place.method == "POST"
    assert place.url.params["bytes"] == put.headers["content-length"] == str(len(put.content))
    assert "x-api-key" not in put.headers
    assert put.url.host == "bucket.example"
    lines = put.content.splitlines()
    assert len(lines) == 1_001
    assert int(put.headers["content-length"]) == len(put.content)
    assert json.loads(lines[7]) == {"content": "text 7"}
    assert json.loads(submitted.content) == {"upload": "uploads/1"}


def test_an_upload_that_fails_is_sent_again_from_its_beginning() -> None:
    seen: list[httpx.Request] = []
    there = uploading(seen)
    bodies: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "PUT":
            bodies.append(request.read())
            if len(bodies) == 1:
                return httpx.Response(503)
        return there(request)

    client(answer).batch(f"text {number}" for number in range(1_001))
    assert bodies[0] == bodies[1]


def test_documents_are_texts_and_files_and_large_ones_are_uploaded(tmp_path: Path) -> None:
    seen: list[httpx.Request] = []
    file = tmp_path / "a.txt"
    file.write_bytes(b"hello")
    large = "x" * (3 * 1024 * 1024 + 1)
    given: list[Any] = ["a text", file, large, {"text": "another", "id": "d"}]
    batch = client(uploading(seen)).documents(given, "summarize", sentences=2)
    assert batch.id == "b1"
    assert seen[1].content == large.encode()
    assert json.loads(seen[2].content) == {
        "operation": "summarize",
        "sentences": 2,
        "documents": [
            {"text": "a text"},
            {"name": "a.txt", "content": "aGVsbG8="},
            {"media_type": "text/plain; charset=utf-8", "upload": "uploads/1"},
            {"text": "another", "id": "d"},
        ],
    }


# ---- chat ------------------------------------------------------------------------------------


def events(*chunks: Any, done: bool = True) -> httpx.Response:
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    body = "".join([": a comment\n\n", *lines, *(["data: [DONE]\n\n"] if done else [])])
    return httpx.Response(200, text=body, headers={"content-type": "text/event-stream"})


def delta(content: str | None, finish_reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"delta": {"content": content}, "finish_reason": finish_reason}]}


def heard(kind: str, answer: Answering) -> tuple[list[str], Any]:
    if kind == "sync":
        tokens = client(answer).chat("why?", system="be brief", model="gpt-4.1")
        return list(tokens), tokens

    async def run() -> tuple[list[str], Any]:
        transport = httpx.MockTransport(answer)
        async with AsyncQuorum(URL, key="k", retries=AT_ONCE, transport=transport) as there:
            tokens = await there.chat("why?", system="be brief", model="gpt-4.1")
            return [piece async for piece in tokens], tokens

    return asyncio.run(run())


@both
def test_an_answer_is_heard_piece_by_piece_and_its_cost_is_known_at_the_end(kind: str) -> None:
    usage = {"choices": [], "usage": {}, "cost_usd": "0.0002", "cached": True}
    answer, seen = in_turn(
        events(delta(""), delta("be"), delta("cause"), delta(None, "stop"), usage)
    )
    pieces, tokens = heard(kind, answer)
    assert pieces == ["be", "cause"]
    assert (tokens.text, tokens.finish_reason) == ("because", "stop")
    assert (tokens.cost_usd, tokens.cached) == (Decimal("0.0002"), True)
    asked = json.loads(seen[0].content)
    assert asked["model"] == "gpt-4.1"
    assert [turn["role"] for turn in asked["messages"]] == ["system", "user"]


@both
@pytest.mark.parametrize(
    "cut",
    [
        events(delta("half"), done=False),
        events(delta("half"), {"error": {"message": "broke off"}}),
        httpx.Response(200, text='data: {"choices": [{"delta": {"content": "half"}}]}\n\ndata: {'),
    ],
)
def test_an_answer_that_does_not_end_is_not_taken_for_a_whole_one(
    kind: str, cut: httpx.Response
) -> None:
    answer, _ = in_turn(httpx.Response(200, content=cut.content))
    with pytest.raises(StreamCut) as raised:
        heard(kind, answer)
    assert raised.value.received == "half"


@both
def test_a_chat_is_not_paid_for_twice(kind: str) -> None:
    answer, seen = in_turn(refused(503))
    with pytest.raises(ServiceUnavailable):
        heard(kind, answer)
    assert len(seen) == 1


@both
def test_a_chat_that_never_began_is_begun_again(kind: str) -> None:
    answer, seen = in_turn(refused(429), httpx.ConnectError("no route"), events(delta("hi")))
    assert heard(kind, answer)[0] == ["hi"]
    assert len(seen) == 3


def errors_of_the_tree(root: type[QuorumError]) -> Iterator[type[QuorumError]]:
    yield root
    for child in root.__subclasses__():
        yield from errors_of_the_tree(child)


def test_every_error_of_the_tree_is_offered_by_name() -> None:
    for kind in errors_of_the_tree(QuorumError):
        assert getattr(quorum_client, kind.__name__) is kind
