"""Reviews over HTTP: the queue of verdicts that wait, and people's decisions."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from quorum.core.errors import Conflict
from quorum.core.models import Review
from quorum.vote.evaluation import Evaluation

from functions.api import app as api
from tests import make
from tests.functions.conftest import Ask

DAY = 86_400
UNKNOWN = "0" * 32


@pytest.fixture
def waiting(ask: Ask) -> Callable[..., str]:
    """A verdict that waits for a person; moto has no machine, so nobody voted."""

    def judge(content: str = "a text", **options: Any) -> str:
        _, verdict = ask({"content": content}, **options)
        assert verdict["decision"] == "needs_review"
        return str(verdict["id"])

    return judge


@pytest.fixture
def review(ask: Ask) -> Callable[..., tuple[int, Any]]:
    def send(verdict_id: str, decision: str = "unsafe", **options: Any) -> tuple[int, Any]:
        body = {"decision": decision, "reviewer": "ada"} | options.pop("body", {})
        return ask(
            body,
            name="post_review.json",
            path=f"/verdicts/{verdict_id}/review",
            pathParameters={"verdict_id": verdict_id},
            **options,
        )

    return send


@pytest.fixture
def queue(ask: Ask) -> Callable[..., tuple[int, Any]]:
    def read(*, tenant: str = "acme", **query: str) -> Any:
        return ask(name="get_reviews.json", queryStringParameters=query, tenant=tenant)

    return read


@pytest.fixture
def labels(ask: Ask) -> Callable[..., tuple[int, Any]]:
    def read(*, tenant: str = "acme", **query: str) -> Any:
        return ask(name="get_labels.json", queryStringParameters=query, tenant=tenant)

    return read


def cursor_of(*position: Any) -> str:
    """What a page may end with, as its caller could make it up."""
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode()


Waiting = Callable[..., str]
Queue = Callable[..., tuple[int, Any]]
SendReview = Callable[..., tuple[int, Any]]


def ids(answer: tuple[int, Any]) -> list[str]:
    assert answer[0] == 200, answer
    return [entry["verdict_id"] for entry in answer[1]["reviews"]]


def test_what_waits_for_a_person_is_listed_oldest_first_with_its_content(
    waiting: Waiting, queue: Queue, ask: Ask, cached: Callable[[Evaluation, str], None]
) -> None:
    cached(make.evaluation("decided"), "safe")
    ask({"content": "decided"})
    first, second = waiting("one"), waiting("two")
    answer = queue()
    assert ids(answer) == [first, second]
    assert [entry["content"] for entry in answer[1]["reviews"]] == ["one", "two"]
    assert answer[1]["next"] is None


def test_the_queue_is_read_page_by_page(waiting: Waiting, queue: Queue) -> None:
    waited = [waiting(f"text {number}") for number in range(5)]
    seen: list[str] = []
    pages = 0
    query: dict[str, str] = {}
    while True:
        answer = queue(limit="2", **query)
        seen += ids(answer)
        pages += 1
        if answer[1]["next"] is None:
            break
        query = {"next": answer[1]["next"]}
    assert seen == waited
    assert pages == 3


def test_a_page_of_the_longest_contents_is_one_a_lambda_may_answer_with(
    waiting: Waiting, queue: Queue, ask: Ask, event: Any, context: Any
) -> None:
    for number in range(10):
        waiting(f"{number}" + "\N{GRINNING FACE}" * 32_767)
    raw = api.handler(event("get_reviews.json") | {"requestContext": _operator(event)}, context)

    assert len(json.dumps(raw)) < 6 * 1024 * 1024
    assert len(json.loads(raw["body"])["reviews"]) == 10


def _operator(event: Any) -> Any:
    asked = event("get_reviews.json")["requestContext"]
    asked["authorizer"] |= {"tenant": "acme", "role": "operator"}
    return asked


def test_one_tenants_queue_is_not_anothers(waiting: Waiting, queue: Queue) -> None:
    mine = waiting("mine")
    theirs = waiting("theirs", tenant="other")
    assert ids(queue()) == [mine]
    assert ids(queue(tenant="other")) == [theirs]


def test_anothers_place_in_the_queue_leads_nowhere_else(waiting: Waiting, queue: Queue) -> None:
    for text in ("theirs", "theirs too"):
        waiting(text, tenant="other")
    _, page = queue(limit="1", tenant="other")
    mine = waiting("mine")
    assert ids(queue(next=page["next"])) in ([mine], [])


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"order": "worst"}, "invalid_order"),
        ({"severity": "mild"}, "invalid_severity"),
        ({"batch": "all"}, "invalid_batch"),
        ({"limit": "0"}, "invalid_limit"),
        ({"limit": "11"}, "invalid_limit"),
        ({"next": "nonsense"}, "invalid_next"),
        ({"next": "bnVsbA=="}, "invalid_next"),
        ({"next": "ä"}, "invalid_next"),
        ({"next": cursor_of("0" * 32, "2026-11-01T00:00:00+00:00")}, "invalid_next"),
        ({"next": cursor_of(9, None, None)}, "invalid_next"),
        ({"next": cursor_of(-1, None, None)}, "invalid_next"),
        ({"next": cursor_of(0, "yesterday", "0" * 32)}, "invalid_next"),
        ({"next": cursor_of(0, "2026-11-01T00:00:00+00:00", None)}, "invalid_next"),
        ({"next": cursor_of(0, "2026-11-01T00:00:00+00:00", "a#b")}, "invalid_next"),
        ({"next": cursor_of(0, "2026-11-01T00:00:00+00:00", 7)}, "invalid_next"),
    ],
)
def test_a_bad_query_is_a_400_that_names_the_field(
    queue: Queue, query: dict[str, str], code: str
) -> None:
    status, answer = queue(**query)
    assert (status, answer["error"]["code"]) == (400, code)


def test_a_review_takes_the_verdict_out_of_the_queue_and_is_on_it(
    waiting: Waiting, review: SendReview, queue: Queue, labels: Queue, ask: Ask
) -> None:
    verdict_id = waiting()
    status, verdict = review(verdict_id, body={"note": "quotes the text"})
    assert status == 200
    assert verdict["decision"] == "needs_review", "the panel's decision stays what it was"
    assert verdict["review"]["decision"] == "unsafe"
    assert ids(queue()) == []
    (entry,) = labels()[1]["labels"]
    assert entry["verdict"]["id"] == verdict_id
    assert (entry["content"], entry["reviews"]) == ("a text", [verdict["review"]])
    address = {"path": f"/verdicts/{verdict_id}", "pathParameters": {"verdict_id": verdict_id}}
    assert ask(name="get_verdict.json", **address) == (200, verdict)


def test_a_verdict_the_panel_decided_may_be_reviewed_too_without_its_content(
    ask: Ask,
    cached: Callable[[Evaluation, str], None],
    review: SendReview,
    queue: Queue,
    labels: Queue,
) -> None:
    cached(make.evaluation("decided"), "safe")
    _, verdict = ask({"content": "decided"})
    assert review(verdict["id"])[0] == 200
    (entry,) = labels()[1]["labels"]
    assert (entry["verdict"]["decision"], entry["content"]) == ("safe", None)


def test_a_second_review_counts_and_the_first_is_kept(
    waiting: Waiting, review: SendReview, queue: Queue, labels: Queue
) -> None:
    verdict_id = waiting()
    review(verdict_id, "unsafe")
    _, verdict = review(verdict_id, "safe", body={"reviewer": "grace"})
    assert verdict["review"]["decision"] == "safe"
    (entry,) = labels()[1]["labels"]
    assert [(one["reviewer"], one["decision"]) for one in entry["reviews"]] == [
        ("ada", "unsafe"),
        ("grace", "safe"),
    ]


def test_the_same_review_sent_again_changes_nothing(
    waiting: Waiting, review: SendReview, queue: Queue, labels: Queue
) -> None:
    verdict_id = waiting()
    assert review(verdict_id) == review(verdict_id)
    (entry,) = labels()[1]["labels"]
    assert len(entry["reviews"]) == 1


def test_of_two_reviews_at_the_same_moment_one_is_told_to_look_again(
    waiting: Waiting, review: SendReview, aws: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict_id = waiting()
    store = api.app().reviews
    add_first = store._store  # noqa: SLF001 the moment between reading and writing

    def meanwhile(*given: Any, **named: Any) -> bool:
        review(verdict_id, "safe", body={"reviewer": "grace"})
        return add_first(*given, **named)

    monkeypatch.setattr(store, "_store", meanwhile)
    late = Review.model_validate(
        {"decision": "unsafe", "reviewer": "ada", "reviewed_at": "2026-11-01T12:00:00Z"}
    )
    with pytest.raises(Conflict, match="same moment"):
        store.add("acme", verdict_id, late, by="key")
    item = aws.Table("VerdictsTable").get_item(Key={"id": f"verdict#acme#{verdict_id}"})["Item"]
    assert len(item["reviews"]) == 1


def test_the_content_is_kept_longer_once_it_has_a_label(
    waiting: Waiting, review: SendReview, aws: Any
) -> None:
    verdict_id = waiting()
    key = {"id": f"content#acme#{verdict_id}"}
    table = aws.Table("VerdictsTable")
    before = int(table.get_item(Key=key)["Item"]["expires_at"])
    review(verdict_id)
    after = int(table.get_item(Key=key)["Item"]["expires_at"])
    assert before - time.time() < 31 * DAY
    assert 89 * DAY < after - time.time() < 91 * DAY


def test_a_content_whose_time_is_over_is_not_shown_though_it_is_still_there(
    waiting: Waiting, queue: Queue, aws: Any
) -> None:
    verdict_id = waiting()
    aws.Table("VerdictsTable").update_item(
        Key={"id": f"content#acme#{verdict_id}"},
        UpdateExpression="SET expires_at = :past",
        ExpressionAttributeValues={":past": int(time.time()) - 1},
    )
    (entry,) = queue()[1]["reviews"]
    assert entry["content"] is None


def test_another_tenants_verdict_cannot_be_reviewed(
    waiting: Waiting, review: SendReview, queue: Queue
) -> None:
    verdict_id = waiting()
    status, answer = review(verdict_id, tenant="other")
    assert (status, answer["error"]["code"]) == (404, "verdict_not_found")
    assert review(UNKNOWN)[0] == 404
    assert ids(queue()) == [verdict_id]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"decision": "maybe"}, "decision"),
        ({"reviewer": ""}, "reviewer"),
        ({"reviewer": None}, "reviewer"),
        ({"note": "x" * 1001}, "note"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_bad_review_is_a_400_that_names_the_field(
    waiting: Waiting, review: SendReview, queue: Queue, body: dict[str, Any], field: str
) -> None:
    verdict_id = waiting()
    status, answer = review(verdict_id, body=body)
    assert (status, answer["error"]["field"]) == (400, field)
    assert ids(queue()) == [verdict_id]


def test_reviews_take_an_operators_key(waiting: Waiting, review: SendReview, ask: Ask) -> None:
    verdict_id = waiting()
    for status, answer in (
        review(verdict_id, role="member"),
        ask(name="get_reviews.json", role="member"),
    ):
        assert (status, answer["error"]["code"]) == (403, "scope_missing")


def test_when_the_store_is_gone_the_answer_is_503(
    waiting: Waiting, review: SendReview, queue: Queue, aws: Any
) -> None:
    verdict_id = waiting()
    aws.Table("VerdictsTable").delete()
    assert review(verdict_id)[0] == 503
    assert queue()[0] == 503


def test_each_voters_agreement_with_the_reviewer_is_counted(
    ask: Ask,
    cached: Callable[[Evaluation, str], None],
    review: SendReview,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cached(make.evaluation("decided"), "unsafe")
    _, verdict = ask({"content": "decided"})
    capsys.readouterr()
    review(verdict["id"], "safe")
    written = capsys.readouterr().out
    assert written.count('"AgreementWithReviewers":[0.0]') == 3
    review(verdict["id"], "safe")
    assert "AgreementWithReviewers" not in capsys.readouterr().out


def test_neither_content_nor_note_nor_reviewer_is_in_any_log(
    waiting: Waiting,
    review: SendReview,
    queue: Queue,
    labels: Queue,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    verdict_id = waiting("a very particular text")
    review(verdict_id, body={"note": "so particular", "reviewer": "peculiar"})
    review(verdict_id, body={"note": "so particular" * 100, "reviewer": "peculiar"})
    queue()
    labels()
    logged = [vars(record) for record in caplog.records if record.name == "quorum"]
    assert "review" in [record["msg"] for record in logged]
    written = str(logged) + capsys.readouterr().out
    assert "particular" not in written
    assert "peculiar" not in written
