"""A person's decision answers the same content, and the same content waits for a person once."""

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from time import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from quorum.aws.dynamo import DAY
from quorum.core.errors import Conflict
from quorum.core.models import Decision, Review, Verdict
from quorum.vote.evaluation import Evaluation, conclude_without_votes
from quorum.vote.policy import DEFAULT, Policy

from functions.api import app as api
from tests import make
from tests.conftest import empty_account
from tests.functions.conftest import Ask, make_tables, reopen
from tests.functions.test_settling import Schedule, Turns
from tests.world import TENANT, Gateway, World, decided, items

TEXT = "buy now"
NEAR = " buy\u200b   now\n"
"""The same text to a reader."""


class Deployment:
    """The HTTP API, as a tenant's application and its reviewers use it."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def judge(self, text: str = TEXT, *, context: Any = None, **options: Any) -> Any:
        body = {"content": text, "panel": "default", "context": context}
        status, verdict = self._ask(body, **options)
        assert status == 200, verdict
        return verdict

    def review(self, verdict: Any, decision: str, *, tenant: str = "acme") -> Any:
        status, reviewed = self._ask(
            {"decision": decision, "reviewer": "ada"},
            name="post_review.json",
            path=f"/verdicts/{verdict['id']}/review",
            pathParameters={"verdict_id": verdict["id"]},
            tenant=tenant,
        )
        assert status == 200, reviewed
        return reviewed

    def read(self, verdict: Any) -> Any:
        status, found = self._ask(
            name="get_verdict.json",
            path=f"/verdicts/{verdict['id']}",
            pathParameters={"verdict_id": verdict["id"]},
        )
        assert status == 200, found
        return found

    def queue(self, *, tenant: str = "acme") -> list[Any]:
        _, page = self._ask(name="get_reviews.json", queryStringParameters=None, tenant=tenant)
        entries: list[Any] = page["reviews"]
        return entries

    def labels(self) -> list[Any]:
        entries: list[Any] = self._ask(name="get_labels.json")[1]["labels"]
        return entries


@pytest.fixture
def api_of(ask: Ask) -> Deployment:
    return Deployment(ask)


def days_later(days: float) -> None:
    """The API's environments are new, and so many days have passed."""
    reopen(api)
    api.app().clock = lambda: time() + days * DAY


# ---- a decision is reused ----


def test_a_content_that_a_person_decided_is_answered_by_that_decision(api_of: Deployment) -> None:
    first = api_of.judge()
    reviewed = api_of.review(first, "unsafe")
    answer = api_of.judge(NEAR)
    assert (answer["decision"], answer["answered_from"]) == ("unsafe", "review")
    assert answer["reused_review"] == {
        "verdict_id": first["id"],
        "reviewed_at": reviewed["review"]["reviewed_at"],
    }
    assert (answer["votes"], answer["calls"], answer["cost_usd"]) == ([], 0, "0")
    assert (answer["score"], answer["confidence"]) == (1.0, 1.0)
    assert answer["reason"].startswith("a person decided this content on 20")
    assert answer["reason"].endswith(": unsafe")
    assert api_of.read(answer) == answer
    assert api_of.queue() == []


def test_a_safe_decision_scores_nothing(api_of: Deployment) -> None:
    api_of.review(api_of.judge(), "safe")
    answer = api_of.judge()
    assert (answer["decision"], answer["score"]) == ("safe", 0.0)


def test_a_decision_the_panel_got_wrong_is_not_repeated_after_an_appeal(
    api_of: Deployment, cached: Callable[[Evaluation, str], None]
) -> None:
    cached(make.evaluation(TEXT), "unsafe")
    judged = api_of.judge()
    assert judged["decision"] == "unsafe"
    api_of.review(judged, "safe")
    assert api_of.judge()["decision"] == "safe"


def test_a_decision_answers_the_content_in_an_equal_context_only(api_of: Deployment) -> None:
    game, address = {"parent": "my last boss"}, {"parent": "he lives at 12 Elm Road"}
    first = api_of.judge(context=game)
    (waiting,) = api_of.queue()
    assert (waiting["content"], waiting["context"]["parent"]) == (TEXT, "my last boss")
    api_of.review(first, "safe")
    assert api_of.judge(context={"parent": " my  last boss"})["answered_from"] == "review"
    for other in (None, address, game | {"author": {"earlier_strikes": 3}}):
        assert api_of.judge(context=other)["answered_from"] == "panel"
    assert len(api_of.queue()) == 3


def test_another_tenants_decision_answers_nobody_else(api_of: Deployment) -> None:
    api_of.review(api_of.judge(tenant="other"), "unsafe", tenant="other")
    assert api_of.judge()["answered_from"] == "panel"
    assert len(api_of.queue()) == 1


def test_votes_that_tenants_share_do_not_make_them_share_decisions(
    api_of: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHARE_VOTES", "true")
    reopen(api)
    api_of.review(api_of.judge(tenant="other"), "unsafe", tenant="other")
    assert api_of.judge()["answered_from"] == "panel"


def test_a_decision_under_another_policy_is_not_reused(api_of: Deployment) -> None:
    api_of.review(api_of.judge(), "unsafe")
    another = Policy(name="default", instructions="Another policy.")
    api.app().policies.put(TENANT, another, "a test", expected=None, now=datetime.now(UTC))
    assert api_of.judge()["decision"] == "needs_review"
    assert len(api_of.queue()) == 1


@pytest.mark.parametrize(("days", "source"), [(29.9, "review"), (30.1, "panel")])
def test_a_decision_is_reused_for_the_days_that_the_deployment_sets(
    api_of: Deployment, days: float, source: str
) -> None:
    api_of.review(api_of.judge(), "unsafe")
    days_later(days)
    assert api_of.judge()["answered_from"] == source


def test_a_deployment_may_reuse_no_decision(
    api_of: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REUSE_DAYS", "0")
    reopen(api)
    first = api_of.judge()
    api_of.review(first, "unsafe")
    again = api_of.judge()
    assert again["decision"] == "needs_review"
    assert [entry["verdict_id"] for entry in api_of.queue()] == [again["id"]]
    assert api_of.read(again)["review"] is None
    assert api_of.read(first)["review"]["decision"] == "unsafe"


def test_a_decision_outlives_its_verdict_by_nothing(api_of: Deployment, aws: Any) -> None:
    first = api_of.judge()
    days_later(399)
    late = Review(decision=Decision.UNSAFE, reviewer="ada", reviewed_at=make.at(time() + 399 * DAY))
    api.app().reviews.add("acme", first["id"], late, by="key")
    days_later(410)
    assert api_of.judge()["reused_review"]["verdict_id"] == first["id"]
    table = aws.Table("VerdictsTable")
    stored = {item["id"]: item for item in table.scan()["Items"]}
    (entry,) = [item for name, item in stored.items() if name.startswith("entry#")]
    assert entry["expires_at"] == stored[f"verdict#acme#{first['id']}"]["expires_at"]


# ---- reviews that change ----


def test_a_changed_review_takes_the_place_of_the_one_before(api_of: Deployment) -> None:
    first = api_of.judge()
    api_of.review(first, "unsafe")
    api_of.review(first, "safe")
    assert api_of.judge()["decision"] == "safe"


def test_a_review_of_a_verdict_that_reused_one_changes_the_decision_for_all(
    api_of: Deployment,
) -> None:
    first = api_of.judge()
    api_of.review(first, "unsafe")
    later = api_of.judge()
    assert api_of.review(later, "safe")["review"]["decision"] == "safe"
    assert api_of.read(first)["review"]["decision"] == "safe"
    assert api_of.read(later)["review"]["decision"] == "safe"
    assert api_of.judge()["reused_review"]["verdict_id"] == first["id"]
    (entry,) = api_of.labels()
    assert [one["decision"] for one in entry["reviews"]] == ["unsafe", "safe"]


def test_a_withdrawn_review_answers_nothing_more_and_the_content_waits_again(
    api_of: Deployment,
) -> None:
    first = api_of.judge()
    api_of.review(first, "unsafe")
    api_of.review(first, "needs_review")
    (entry,) = api_of.queue()
    assert (entry["verdict_id"], entry["content"]) == (first["id"], TEXT)
    assert api_of.labels() == []
    again = api_of.judge()
    assert again["answered_from"] == "panel"
    assert [entry["count"] for entry in api_of.queue()] == [2]
    api_of.review(again, "safe")
    assert api_of.read(first)["review"]["decision"] == "safe"
    assert api_of.queue() == []


# ---- one entry of a wave ----


def test_a_wave_of_the_same_content_waits_once_with_a_count(api_of: Deployment) -> None:
    wave = [api_of.judge(text) for text in (TEXT, NEAR, TEXT)]
    other = api_of.judge("another text")
    waiting = api_of.queue()
    assert [entry["verdict_id"] for entry in waiting] == [wave[0]["id"], other["id"]]
    assert [entry["count"] for entry in waiting] == [3, 1]
    assert waiting[0]["first_seen"] == wave[0]["created_at"]
    assert waiting[0]["last_seen"] == wave[2]["created_at"]
    assert waiting[1]["first_seen"] == waiting[1]["last_seen"] == other["created_at"]


@pytest.mark.parametrize("which", [0, 2], ids=["the-first", "a-later-one"])
def test_deciding_one_verdict_of_a_wave_decides_for_all(api_of: Deployment, which: int) -> None:
    wave = [api_of.judge() for _ in range(3)]
    review = api_of.review(wave[which], "unsafe")["review"]
    assert [api_of.read(verdict)["review"] for verdict in wave] == [review] * 3
    assert api_of.queue() == []
    (entry,) = api_of.labels()
    assert (entry["count"], entry["reviews"]) == (3, [review])


def test_a_verdict_that_comes_to_wait_after_the_decision_has_it(api_of: Deployment) -> None:
    api_of.review(api_of.judge(), "unsafe")
    late = undecided("late")
    api.app().verdicts.record("acme", late.content, concluded(late))
    assert api_of.read({"id": "late"})["review"]["decision"] == "unsafe"
    assert api_of.queue() == []


def test_a_verdict_recorded_twice_is_counted_once(api_of: Deployment) -> None:
    api_of.judge()
    for _ in range(2):
        for name in ("one", "two"):
            found = undecided(name)
            api.app().verdicts.record("acme", found.content, concluded(found))
    assert [entry["count"] for entry in api_of.queue()] == [3]


def test_the_first_verdict_of_a_wave_recorded_twice_is_counted_once(aws: Any) -> None:
    world = World(aws, Gateway())
    found = undecided("first")
    for _ in range(2):
        world.verdicts.record(TENANT, found.content, concluded(found))
    assert [entry.count for entry in world.waiting()] == [1]


def test_a_text_is_kept_as_long_as_somebody_sends_it(api_of: Deployment, aws: Any) -> None:
    first = api_of.judge()
    days_later(20)
    api_of.judge()
    (kept,) = [
        item
        for item in aws.Table("VerdictsTable").scan()["Items"]
        if item["id"].startswith("content#")
    ]
    assert kept["id"].endswith(first["id"])
    assert int(kept["expires_at"]) > time() + 49 * DAY


# ---- batches ----


def test_a_batch_asks_nobody_about_what_a_person_decided(aws: Any) -> None:
    gateway = Gateway()
    world = World(aws, gateway)
    found = undecided("by-hand")
    world.verdicts.record(TENANT, found.content, concluded(found))
    world.reviews.add(TENANT, "by-hand", review_of("unsafe"), by="key")
    world.new_batch(3)
    assert set(world.judge(items(TEXT, NEAR, "ham")).values()) == {None}
    assert {text for _, text in gateway.calls} == {"ham"}
    view = world.view()
    assert view.decisions == {"safe": 1, "unsafe": 2, "needs_review": 0}
    assert view.cost_usd == gateway.billed


def test_a_batch_of_one_content_that_nobody_can_decide_waits_once(aws: Any) -> None:
    gateway = Gateway()
    gateway.says[TEXT] = Decision.NEEDS_REVIEW
    world = World(aws, gateway)
    world.new_batch(50)
    assert set(world.judge(items(*[TEXT] * 50)).values()) == {None}
    (entry,) = world.waiting()
    assert entry.count == 50
    assert decided(aws)["needs_review"] == 50


# ---- in between ----


@pytest.fixture
def in_between(monkeypatch: pytest.MonkeyPatch) -> Callable[[World, Callable[[], Any]], None]:
    """Let something happen once, after a worker has read an entry and before it writes."""

    def install(world: World, happens: Callable[[], Any]) -> None:
        entries = world.app.review_entries
        read = entries.read

        def reading(wanted: Any) -> Any:
            found = read(wanted)
            monkeypatch.undo()
            happens()
            return found

        monkeypatch.setattr(entries, "read", reading)

    return install


InBetween = Callable[[World, Callable[[], Any]], None]


def test_a_verdict_that_joins_while_a_person_decides_does_not_shorten_the_labels_time(
    aws: Any, in_between: InBetween
) -> None:
    world, reviewer = World(aws, Gateway()), World(aws, Gateway())
    wait(world, "first")
    in_between(world, lambda: reviewer.reviews.add(TENANT, "first", review_of("unsafe"), by="key"))
    wait(world, "second")
    assert kept_until(aws, "first") > time() + 89 * DAY
    assert world.verdicts.get(TENANT, "second").review is not None


def test_a_decision_renewed_while_a_verdict_comes_to_wait_is_not_lost(
    aws: Any, in_between: InBetween
) -> None:
    world, reviewer = World(aws, Gateway()), World(aws, Gateway())
    wait(world, "first")
    old = Review(decision=Decision.SAFE, reviewer="ada", reviewed_at=make.at(time() - 31 * DAY))
    world.reviews.add(TENANT, "first", old, by="key")
    in_between(world, lambda: reviewer.reviews.add(TENANT, "first", review_of("unsafe"), by="key"))
    wait(world, "second")
    review = world.verdicts.get(TENANT, "second").review
    assert review is not None
    assert review.decision == "unsafe"
    assert world.waiting() == ()


def test_a_content_that_comes_to_wait_while_its_verdict_is_appealed_has_one_entry(
    aws: Any, in_between: InBetween
) -> None:
    world, reviewer = World(aws, Gateway()), World(aws, Gateway())
    judged = undecided("judged")
    safe = concluded(judged).model_copy(update={"decision": Decision.SAFE})
    world.verdicts.record(TENANT, judged.content, safe)
    in_between(reviewer, lambda: wait(world, "waits"))
    reviewer.reviews.add(TENANT, "judged", review_of("unsafe"), by="key")
    assert world.waiting() == ()
    (entry,) = world.reviews.labels(TENANT).labels
    assert entry.verdict.id == "waits"
    for name in ("judged", "waits"):
        review = world.verdicts.get(TENANT, name).review
        assert review is not None
        assert review.decision == "unsafe"


def wait(world: World, name: str) -> None:
    """A verdict that nobody could decide is recorded."""
    found = undecided(name)
    world.verdicts.record(TENANT, found.content, concluded(found))


def kept_until(aws: Any, name: str) -> int:
    key = {"id": f"content#{TENANT}#{name}"}
    return int(aws.Table("VerdictsTable").get_item(Key=key)["Item"]["expires_at"])


# ---- however workers interleave ----


def undecided(name: str, text: str = TEXT) -> Evaluation:
    return make.evaluation(text, verdict_id=name)


def concluded(found: Evaluation) -> Verdict:
    return conclude_without_votes(found, "made up", DEFAULT, now=make.NOW)


def review_of(decision: str) -> Review:
    return Review(decision=Decision(decision), reviewer="ada", reviewed_at=make.at(time()))


STEPS = st.lists(st.sampled_from(["wait", "safe", "unsafe", "needs_review"]), max_size=4)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    workers=st.lists(STEPS, min_size=2, max_size=3),
    order=st.lists(st.integers(0, 2), max_size=30),
)
def test_however_workers_interleave_a_content_has_one_entry_and_all_its_verdicts_read_the_same(
    account: Any, workers: list[list[str]], order: list[int]
) -> None:
    empty_account()
    make_tables(account)
    quiet = World(account, Gateway())
    quiet.verdicts.record(TENANT, undecided("0").content, concluded(undecided("0")))
    schedule = Schedule([number for number in order if number < len(workers)])
    failures: list[BaseException] = []

    def work(number: int, steps: list[str]) -> None:
        world = World(Turns(account, number, schedule), Gateway())
        try:
            for index, step in enumerate(steps):
                if step == "wait":
                    found = undecided(f"{number}-{index}")
                    world.verdicts.record(TENANT, found.content, concluded(found))
                    continue
                with suppress(Conflict):  # another worker's review was first
                    world.reviews.add(TENANT, "0", review_of(step), by="key")
        except BaseException as failure:  # noqa: BLE001 - shown below
            failures.append(failure)
        finally:
            schedule.done(number)

    threads = [
        threading.Thread(target=work, args=(number, steps)) for number, steps in enumerate(workers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    waiting, labels = quiet.waiting(), quiet.reviews.labels(TENANT).labels
    (count,) = [one.count for one in waiting] + [one.count for one in labels]
    waits = ["0"] + [
        f"{number}-{index}"
        for number, steps in enumerate(workers)
        for index, step in enumerate(steps)
        if step == "wait"
    ]
    assert count == len(waits)
    latest = quiet.verdicts.get(TENANT, "0").review
    assert {quiet.verdicts.get(TENANT, name).review for name in waits} == {latest}
    pending = [one.verdict_id for one in waiting]
    assert pending == ([] if latest is not None and latest.decision != "needs_review" else ["0"])
    content = undecided("0").content
    (reuse,) = quiet.app.review_entries.reusable(
        [(TENANT, content, concluded(undecided("0")).policy_version)]
    )
    assert (None if reuse is None else reuse.decision) == (
        None if pending else latest and latest.decision
    )
