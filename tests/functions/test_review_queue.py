"""The reviewers' queue over HTTP: order, filters, counts, claims, decisions, and races."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from quorum.audit.trail import AuditFilter, AuditTrail
from quorum.aws import dynamo
from quorum.core.errors import Conflict, NotFound
from quorum.core.models import Content, Decision, Review, Verdict
from quorum.review import claims as claims_module
from quorum.review import waiting
from quorum.review.claims import Claims
from quorum.review.requests import ClaimRequest, QueueFilter
from quorum.review.waiting import WaitingQueue
from quorum.vote.evaluation import conclude_at_once
from quorum.vote.policy import DEFAULT
from quorum.vote.reviews import Reviews

from functions.api import app as api
from tests import make
from tests.clock import Clock
from tests.functions.conftest import Ask
from tests.world import Serial

if TYPE_CHECKING:
    from quorum.app.api import ApiContainer

BATCH = "0123456789abcdef0123456789abcdef"
Store = Callable[..., Verdict]
Send = Callable[..., tuple[int, Any]]


@pytest.fixture
def store(ask: Ask, clock: Clock) -> Store:
    """Store a verdict that came so many minutes ago."""
    container: ApiContainer = api.app()
    container.clock = clock

    def put(name: str, minutes: float = 0, *, tenant: str = "acme", **changes: Any) -> Verdict:
        evaluation = make.evaluation(verdict_id=name, tenant=tenant)
        scores = changes.pop("scores", {})
        said = changes.pop("said", "needs_review")
        votes = [
            make.cast(voter, said, confidence=1.0, scores=scores)
            for voter in evaluation.panel.voters
        ]
        now = (datetime.fromtimestamp(clock.now, UTC) - timedelta(minutes=minutes)).timestamp()
        verdict = conclude_at_once(evaluation, votes, DEFAULT, now=now)
        content = Content(text=changes.pop("text", f"a text {name}"))
        return container.verdicts.record(tenant, content, verdict.model_copy(update=changes))

    return put


@pytest.fixture
def queue(ask: Ask) -> Send:
    def read(*, tenant: str = "acme", **query: str) -> tuple[int, Any]:
        asked = {name.rstrip("_"): value for name, value in query.items()}
        return ask(name="get_reviews.json", queryStringParameters=asked, tenant=tenant)

    return read


@pytest.fixture
def send(ask: Ask) -> Send:
    """A step of a reviewer on a content."""

    def step(
        step: str, verdict_id: str, reviewer: str = "ada", *, tenant: str = "acme", **body: Any
    ) -> tuple[int, Any]:
        return ask(
            {"reviewer": reviewer} | body,
            name=f"post_{step}.json",
            path=f"/reviews/{verdict_id}/{step}",
            pathParameters={"verdict_id": verdict_id},
            tenant=tenant,
        )

    return step


@pytest.fixture
def take(ask: Ask) -> Callable[..., list[str]]:
    """Claim the next contents; returns their ids."""

    def claim(reviewer: str = "ada", **body: Any) -> list[str]:
        status, answer = ask({"reviewer": reviewer} | body, name="post_claim_next.json")
        assert status == 200, answer
        return [one["verdict_id"] for one in answer["claims"]]

    return claim


@pytest.fixture
def decide(ask: Ask) -> Callable[..., list[Any]]:
    """Decide contents; returns what became of each."""

    def send(reviewer: str, *decisions: dict[str, Any]) -> list[Any]:
        body = {"reviewer": reviewer, "decisions": list(decisions)}
        status, answer = ask(body, name="post_decisions.json")
        assert status == 200, answer
        found: list[Any] = answer["decisions"]
        return found

    return send


Take = Callable[..., list[str]]
Decide = Callable[..., list[Any]]


def unsafe(verdict_id: str, **more: Any) -> dict[str, Any]:
    return {"verdict_id": verdict_id, "decision": "unsafe"} | more


def ids(answer: tuple[int, Any]) -> list[str]:
    assert answer[0] == 200, answer
    return [one["verdict_id"] for one in answer[1]["reviews"]]


def pages(queue: Send, **query: str) -> list[str]:
    """The ids of all pages."""
    found: list[str] = []
    while True:
        answer = queue(**query)
        found += ids(answer)
        if answer[1]["next"] is None:
            return found
        query["next_"] = answer[1]["next"]


# ---- order, filters, counts ----


def test_the_queue_has_the_oldest_or_the_severest_first(store: Store, queue: Send) -> None:
    store("low-new", 1)
    store("low-old", 60)
    store("high", 30, scores={"hate": 0.95})
    store("critical-new", 5, scores={"self-harm/intent": 0.9})
    store("critical-old", 10, scores={"sexual/minors": 0.9})
    assert ids(queue()) == ["low-old", "high", "critical-old", "critical-new", "low-new"]
    assert ids(queue(order="severest")) == [
        *("critical-old", "critical-new", "high", "low-old", "low-new")
    ]
    assert [one["severity"] for one in queue(order="severest")[1]["reviews"]] == [
        *("critical", "critical", "high", "low", "low")
    ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"severity": "high"}, ["hateful"]),
        ({"category": "hate"}, ["hateful"]),
        ({"category": "violence"}, []),
        ({"language": "ko"}, ["korean"]),
        ({"policy": "gaming"}, ["played"]),
        ({"panel": "economy"}, ["cheap"]),
        ({"origin": "undecided", "language": "ko"}, ["korean"]),
        ({"origin": "appeal"}, []),
        ({"batch": BATCH}, []),
    ],
)
def test_a_filter_leaves_what_it_asks_for(
    store: Store, queue: Send, query: dict[str, str], expected: list[str]
) -> None:
    store("hateful", 1, scores={"hate": 0.95})
    store("korean", 2, language="ko")
    store("played", 3, policy="gaming")
    store("cheap", 4, panel="economy")
    assert ids(queue(**query)) == expected


@pytest.mark.parametrize("order", ["oldest", "severest"])
@pytest.mark.parametrize("limit", ["1", "3", "10"])
@pytest.mark.parametrize("looked_at", [1, 2, 100])
def test_pages_hold_everything_once_in_order(
    store: Store,
    queue: Send,
    monkeypatch: pytest.MonkeyPatch,
    order: str,
    limit: str,
    looked_at: int,
) -> None:
    monkeypatch.setattr(waiting, "READ_LIMIT", looked_at)
    monkeypatch.setattr(waiting, "QUERIES", 2)
    names = [f"v{number}" for number in range(9)]
    critical = {"v1", "v4", "v8"}
    for number, name in enumerate(names):
        # Some came at the same moment.
        scores = {"sexual/minors": 0.9} if name in critical else {}
        store(name, 60 - number // 2, scores=scores, language="ko" if number % 2 else "en")
    grave = [name for name in names if name in critical]
    expected = names if order == "oldest" else [*grave, *(n for n in names if n not in critical)]
    assert pages(queue, order=order, limit=limit) == expected
    korean = [name for name in expected if int(name[1:]) % 2]
    assert pages(queue, order=order, limit=limit, language="ko") == korean


def test_what_waits_is_counted_by_all_that_can_be_filtered_by(
    store: Store, ask: Ask, take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    store("hateful", 10, scores={"hate": 0.95})
    store("korean", 2, language="ko", panel="economy")
    store("theirs", 3, tenant="other")
    assert take() == ["hateful"]
    status, counts = ask(name="get_review_counts.json")
    assert status == 200
    assert (counts["waiting"], counts["claimed"], counts["complete"]) == (2, 1, True)
    assert counts["by_severity"] == {"high": 1, "low": 1}
    assert counts["by_category"] == {"hate": 1}
    assert counts["by_language"] == {"ko": 1, "unknown": 1}
    assert counts["by_panel"] == {"default": 1, "economy": 1}
    assert counts["by_origin"] == {"undecided": 2}
    monkeypatch.setattr(waiting, "COUNT_LIMIT", 1)
    _, fewer = ask(name="get_review_counts.json")
    assert (fewer["waiting"], fewer["complete"]) == (1, False)


def test_counting_reads_no_partition_behind_the_last_that_counts(
    store: Store, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    store("grave", scores={"hate/threatening": 0.9})
    store("grave-too", scores={"hate/threatening": 0.9})
    asked: list[str] = []
    query = dynamo.query

    def counted(client: Any, **request: Any) -> Any:
        asked.append(request["ExpressionAttributeValues"][":review"])
        return query(client, **request)

    monkeypatch.setattr(dynamo, "query", counted)
    monkeypatch.setattr(waiting, "COUNT_LIMIT", 1)
    assert ask(name="get_review_counts.json")[1]["complete"] is False
    assert all(partition.startswith("pending:critical:") for partition in asked)


def test_one_tenants_ids_spell_no_partition_of_anothers(store: Store, queue: Send) -> None:
    store("mine", scores={"hate": 0.95})
    for other in ("acme#high#0", "high:0#acme", "0#acme"):
        assert ids(queue(tenant=other)) == []


def test_contents_that_waited_before_there_were_severities_still_wait(
    store: Store, queue: Send, aws: Any, take: Take, decide: Decide
) -> None:
    store("old", 20)
    store("new", 10)
    aws.Table("VerdictsTable").update_item(
        Key={"id": "verdict#acme#old"},
        UpdateExpression="SET #review = :old",
        ExpressionAttributeNames={"#review": "review"},
        ExpressionAttributeValues={":old": "pending#acme"},
    )
    assert ids(queue()) == ["old", "new"]
    assert ids(queue(order="severest")) == ["old", "new"]
    assert take() == ["old"]
    assert decide("ada", unsafe("old"))[0]["error"] is None
    assert ids(queue()) == ["new"]


# ---- claims ----


def test_two_people_are_given_different_contents(store: Store, take: Take) -> None:
    store("one", 2)
    store("two", 1)
    assert take("ada") == ["one"]
    assert take("grace") == ["two"]
    assert take("ada") == ["one"], "who holds one is given the same again"
    assert take("ada", count=2) == ["one"]
    assert take("mary") == []


def test_who_gets_nothing_learns_why(store: Store, ask: Ask, send: Send, clock: Clock) -> None:
    store("held", 2)
    store("skipped", 1)
    assert send("claim", "held", "grace")[0] == 200
    assert send("claim", "skipped", "ada")[0] == 200
    assert send("skip", "skipped", "ada", reason="language")[0] == 200
    _, answer = ask({"reviewer": "ada"}, name="post_claim_next.json")
    assert answer["claims"] == []
    assert (answer["held"], answer["excluded"]) == (1, 1)
    free_at = datetime.fromisoformat(answer["free_at"])
    assert free_at.timestamp() == int(clock.now) + 600


def test_claims_are_of_what_is_asked_for(store: Store, take: Take) -> None:
    store("old", 10)
    store("grave", 5, scores={"hate": 0.95})
    store("korean", 7, language="ko")
    assert take("ada", language="ko") == ["korean"]
    assert take("grace") == ["grave"]
    assert take("mary", order="oldest", count=3) == ["old"]


def test_a_claim_expires_unless_it_is_extended(
    store: Store, send: Send, take: Take, clock: Clock, decide: Decide
) -> None:
    store("one")
    assert take("ada") == ["one"]
    clock.now += 500
    status, extended = send("claim", "one", "ada")
    assert status == 200
    until = datetime.fromisoformat(extended["claim"]["until"]).timestamp()
    assert until == int(clock.now) + 600
    clock.now += 500
    assert send("claim", "one", "grace")[1]["error"]["code"] == "claimed_by_another"
    clock.now += 101
    assert send("claim", "one", "grace")[0] == 200
    (refused,) = decide("ada", unsafe("one"))
    assert refused["error"]["code"] == "claimed_by_another"


def test_a_decision_by_an_expired_claim_is_refused_also_where_nobody_else_has_it(
    store: Store, take: Take, clock: Clock, decide: Decide
) -> None:
    store("one")
    take("ada")
    clock.now += 601
    assert decide("ada", unsafe("one"))[0]["error"]["code"] == "claim_expired"


def test_what_is_given_back_can_be_claimed_and_what_is_skipped_by_others_only(
    store: Store, send: Send, take: Take, queue: Send
) -> None:
    store("one")
    take("ada")
    assert send("release", "one", "ada") == (200, {"verdict_id": "one"})
    assert take("ada") == ["one"]
    assert send("skip", "one", "ada", reason="too_disturbing")[0] == 200
    assert take("ada") == []
    assert send("claim", "one", "ada")[1]["error"]["code"] == "reviewer_excluded"
    assert ids(queue(reviewer="ada")) == []
    assert ids(queue(reviewer="grace")) == ["one"]
    assert take("grace") == ["one"]


def test_only_who_holds_a_claim_can_give_it_up(store: Store, send: Send, take: Take) -> None:
    store("one")
    take("ada")
    for step in ("release", "skip", "escalate"):
        status, answer = send(step, "one", "grace")
        assert (status, answer["error"]["code"]) == (409, "claim_expired")
    assert take("ada") == ["one"]


def test_an_escalated_content_is_decided_by_somebody_else_who_sees_the_note(
    store: Store, send: Send, take: Take, queue: Send, decide: Decide
) -> None:
    store("one")
    take("ada")
    assert send("escalate", "one", "ada", note="slang I do not know")[0] == 200
    assert take("ada") == []
    (waits,) = queue(origin="escalated")[1]["reviews"]
    assert waits["escalations"][0]["reviewer"] == "ada"
    assert waits["escalations"][0]["note"] == "slang I do not know"
    assert take("grace") == ["one"]
    assert decide("grace", unsafe("one"))[0]["verdict"]["review"]["reviewer"] == "grace"


def test_another_tenants_content_cannot_be_claimed(store: Store, send: Send) -> None:
    store("one")
    for verdict_id, tenant in (("one", "other"), ("none", "acme")):
        status, answer = send("claim", verdict_id, tenant=tenant)
        assert (status, answer["error"]["code"]) == (404, "verdict_not_found")


def test_what_does_not_wait_cannot_be_claimed(store: Store, send: Send) -> None:
    store("decided", said="safe")
    status, answer = send("claim", "decided")
    assert (status, answer["error"]["code"]) == (409, "not_waiting")


# ---- decisions ----


def test_a_decision_has_categories_and_a_note_and_ends_the_claim(
    store: Store, take: Take, decide: Decide, ask: Ask, queue: Send
) -> None:
    store("one")
    take("ada")
    (done,) = decide("ada", unsafe("one", categories=["hate", "violence"], note="a quote"))
    assert done["verdict"]["review"]["categories"] == ["hate", "violence"]
    assert ids(queue()) == []
    (label,) = ask(name="get_labels.json")[1]["labels"]
    assert label["reviews"][0]["note"] == "a quote"
    (again,) = decide("ada", unsafe("one", categories=["hate", "violence"], note="a quote"))
    assert again["error"] is None, "a lost answer may be asked for again"


def test_several_are_decided_at_once_and_a_refused_one_keeps_no_other(
    store: Store, take: Take, decide: Decide, send: Send
) -> None:
    for number in range(3):
        store(f"v{number}", 10 - number)
    take("ada", count=2, order="oldest")
    send("claim", "v2", "grace")
    done = decide("ada", *(unsafe(name) for name in ("v0", "v2", "none", "v1")))
    assert [one["error"] and one["error"]["code"] for one in done] == [
        *(None, "claimed_by_another", "verdict_not_found", None)
    ]


def test_one_decision_is_for_all_verdicts_on_the_same_content(
    store: Store, take: Take, decide: Decide, ask: Ask, queue: Send
) -> None:
    for number in range(4):
        store(f"v{number}", 10 - number, text="buy now")
    (waits,) = queue()[1]["reviews"]
    assert waits["count"] == 4
    assert take() == ["v0"]
    decide("ada", unsafe("v0"))
    _, last = ask(name="get_verdict.json", path="/verdicts/v3", pathParameters={"verdict_id": "v3"})
    assert last["review"]["decision"] == "unsafe"


def test_a_claimed_content_is_reviewed_by_nobody_else_directly_either(
    store: Store, take: Take, ask: Ask
) -> None:
    store("one")
    take("ada")
    address = {"path": "/verdicts/one/review", "pathParameters": {"verdict_id": "one"}}
    body = {"decision": "safe", "reviewer": "grace"}
    status, answer = ask(body, name="post_review.json", **address)
    assert (status, answer["error"]["code"]) == (409, "claimed_by_another")
    assert ask(body | {"reviewer": "ada"}, name="post_review.json", **address)[0] == 200


def test_a_decision_is_undone_for_thirty_seconds_and_stays_on_record(
    store: Store, take: Take, decide: Decide, send: Send, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    store("one")
    take("ada")
    decide("ada", unsafe("one"))
    clock = api.app().clock
    assert isinstance(clock, Clock)  # the test's own
    clock.now = datetime.now(UTC).timestamp() + 20
    status, verdict = send("undo", "one", "ada")
    assert status == 200, verdict
    assert verdict["review"]["decision"] == "needs_review"
    assert send("claim", "one", "grace")[1]["error"]["code"] == "claimed_by_another"
    (done,) = decide("ada", {"verdict_id": "one", "decision": "safe"})
    assert done["verdict"]["review"]["decision"] == "safe"
    (label,) = ask(name="get_labels.json")[1]["labels"]
    assert [one["decision"] for one in label["reviews"]] == ["unsafe", "needs_review", "safe"]


def test_nobody_undoes_anothers_decision_nor_an_old_one(
    store: Store, take: Take, decide: Decide, send: Send
) -> None:
    store("one")
    take("ada")
    assert send("undo", "one", "ada")[1]["error"]["code"] == "nothing_to_undo"
    decide("ada", unsafe("one"))
    assert send("undo", "one", "grace")[1]["error"]["code"] == "nothing_to_undo"
    clock = api.app().clock
    assert isinstance(clock, Clock)  # the test's own
    clock.now = datetime.now(UTC).timestamp() + 40
    status, answer = send("undo", "one", "ada")
    assert (status, answer["error"]["code"]) == (409, "too_late_to_undo")


def test_every_step_of_a_reviewer_is_in_the_audit_trail_without_notes(
    store: Store, take: Take, decide: Decide, send: Send, ask: Ask
) -> None:
    store("one")
    take("ada")
    take("ada")  # extended, which changes nothing
    send("release", "one", "ada")
    take("ada")
    send("escalate", "one", "ada", note="so particular")
    take("grace")
    send("skip", "one", "grace", reason="language")
    take("mary")
    decide("mary", unsafe("one", note="so particular"))
    entries = ask(name="get_audit.json")[1]["entries"]
    assert [(entry["action"], entry["person"]) for entry in entries] == [
        ("review.claimed", "ada"),
        ("review.released", "ada"),
        ("review.claimed", "ada"),
        ("review.escalated", "ada"),
        ("review.claimed", "grace"),
        ("review.skipped", "grace"),
        ("review.claimed", "mary"),
        ("review.decided", "mary"),
    ]
    assert "particular" not in str(entries)


@pytest.mark.parametrize("name", ["post_claim_next", "post_claim", "post_decisions", "post_undo"])
def test_reviewers_steps_take_an_operators_key(ask: Ask, name: str) -> None:
    status, answer = ask(name=f"{name}.json", role="member")
    assert (status, answer["error"]["code"]) == (403, "scope_missing")


# ---- races ----


@pytest.fixture
def races(aws: Any, store: Store) -> Callable[[str], tuple[Reviews, Claims]]:
    """A reviewer's own view of the tables; DynamoDB takes one call at a time, in any order."""
    serial: Any = Serial(aws)
    container: ApiContainer = api.app()

    def join(_name: str) -> tuple[Reviews, Claims]:
        audit = AuditTrail(serial, "AuditTable")
        reviews = Reviews(
            serial,
            "VerdictsTable",
            "UsageTable",
            container.review_entries,
            audit,
            label_days=90,
            clock=container.clock,
        )
        waiting_queue = WaitingQueue(serial, "VerdictsTable", reviews, clock=container.clock)
        claimed = Claims(
            serial, "VerdictsTable", reviews, waiting_queue, audit, clock=container.clock
        )
        return reviews, claimed

    return join


def test_reviewers_at_once_decide_each_content_once(
    store: Store, races: Callable[[str], tuple[Reviews, Claims]]
) -> None:
    contents = [f"v{number}" for number in range(8)]
    for number, name in enumerate(contents):
        store(name, 20 - number)
    container: ApiContainer = api.app()
    container.review_entries._client = Serial(container.dynamodb)  # noqa: SLF001 threads share it
    decided: list[tuple[str, str]] = []
    failures: list[BaseException] = []

    def work(name: str) -> None:
        try:
            reviews, claimed = races(name)
            while True:
                taken = claimed.take_next("acme", ClaimRequest(reviewer=name), by="console")
                if not taken.claims:
                    return
                (content,) = taken.claims
                now = datetime.fromtimestamp(container.clock(), UTC)
                review = Review(decision=Decision.UNSAFE, reviewer=name, reviewed_at=now)
                reviews.add("acme", content.verdict_id, review, by="console", by_claim=True)
                decided.append((content.verdict_id, name))
        except BaseException as failure:  # noqa: BLE001 shown below
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("ada", "grace", "mary")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(name for name, _ in decided) == contents
    labels = container.reviews.labels("acme").labels
    assert {len(label.reviews) for label in labels} == {1}
    entries = container.audit.page("acme", AuditFilter()).entries
    assert len({entry.subject for entry in entries if entry.action == "review.decided"}) == 8


def test_of_two_who_saw_the_same_content_free_one_gets_it(
    store: Store,
    races: Callable[[str], tuple[Reviews, Claims]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store("one", 2)
    store("two", 1)
    (_, ada), (_, grace) = races("ada"), races("grace")
    take = ada._take  # noqa: SLF001 the moment between looking and writing
    first = iter([True])

    def slowly(tenant: str, item: dict[str, Any], reviewer: str, by: str, seconds: int) -> Any:
        if next(first, False):
            grace.take("acme", "one", "grace", by="console")
        return take(tenant, item, reviewer, by, seconds)

    monkeypatch.setattr(ada, "_take", slowly)
    request = ClaimRequest(reviewer="ada", order="oldest")
    claimed = ada.take_next("acme", request, by="console")
    assert [one.verdict_id for one in claimed.claims] == ["two"]


def test_a_claim_that_is_lost_between_reading_and_deciding_decides_nothing(
    store: Store,
    races: Callable[[str], tuple[Reviews, Claims]],
    monkeypatch: pytest.MonkeyPatch,
    clock: Clock,
) -> None:
    store("one")
    (reviews, ada), (_, grace) = races("ada"), races("grace")
    ada.take("acme", "one", "ada", by="console")
    now = datetime.fromtimestamp(clock.now, UTC)
    put = reviews._store  # noqa: SLF001 the moment between looking and writing

    def late(*given: Any) -> bool:
        clock.now += 601
        grace.take("acme", "one", "grace", by="console")
        return put(*given)

    monkeypatch.setattr(reviews, "_store", late)
    review = Review(decision=Decision.UNSAFE, reviewer="ada", reviewed_at=now)
    with pytest.raises(Conflict) as refused:
        reviews.add("acme", "one", review, by="console", by_claim=True)
    assert refused.value.code == "claimed_by_another"
    assert api.app().verdicts.get("acme", "one").review is None


def test_a_content_that_expires_while_it_is_claimed_is_not_found(
    store: Store, races: Callable[[str], tuple[Reviews, Claims]], aws: Any
) -> None:
    store("one")
    _, ada = races("ada")
    aws.Table("VerdictsTable").delete_item(Key={"id": "verdict#acme#one"})
    with pytest.raises(NotFound):
        ada.take("acme", "one", "ada", by="console")


def test_a_reviewer_who_meets_only_held_contents_gives_up_in_time(
    store: Store, take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims_module, "CANDIDATES", 1)
    monkeypatch.setattr(claims_module, "LOOKS", 2)
    for number in range(3):
        store(f"v{number}", 10 - number)
    assert take("ada", count=2) == ["v0", "v1"]
    assert take("grace") == []


# ---- the quality sample ----


def test_the_filter_for_a_batch_is_that_of_its_items(store: Store, aws: Any) -> None:
    store("one")
    store("two")
    aws.Table("VerdictsTable").update_item(
        Key={"id": "verdict#acme#two"},
        UpdateExpression="SET #batch = :batch",
        ExpressionAttributeNames={"#batch": "batch"},
        ExpressionAttributeValues={":batch": f"acme#{BATCH}"},
    )
    page = api.app().waiting.page("acme", QueueFilter(batch=BATCH), "oldest")
    assert [one.verdict_id for one in page.reviews] == ["two"]
