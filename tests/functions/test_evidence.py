"""Replays, statements, appeals and reports over HTTP."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from quorum.review import transparency
from quorum.vote import kept_versions
from quorum.vote.evaluation import conclude_without_votes
from quorum.vote.kept_versions import KeptVersions
from quorum.vote.panel import packaged
from quorum.vote.policy import DEFAULT, Policy
from quorum.vote.quality_sample import QualitySample

from functions.api import app as api
from tests import make
from tests.functions.conftest import Ask, Faults

if TYPE_CHECKING:
    from quorum.app.api import ApiContainer

Judge = Callable[..., Any]
Get = Callable[..., tuple[int, Any]]


@pytest.fixture
def judge(ask: Ask, cached: Callable[..., None]) -> Judge:
    """The verdict on a content whose votes are cached."""

    def send(text: str = "a very particular text", decision: str = "unsafe", **body: Any) -> Any:
        scores = {"harassment": 0.9} if decision == "unsafe" else {}
        cached(make.evaluation(text), decision, scores=scores)
        status, verdict = ask({"content": text} | body)
        assert status == 200, verdict
        return verdict

    return send


@pytest.fixture
def get(ask: Ask) -> Get:
    """Something about a verdict."""

    def read(what: str, verdict_id: str, **options: Any) -> tuple[int, Any]:
        query = options.pop("query", None)
        return ask(
            name=f"get_{what}.json",
            path=f"/verdicts/{verdict_id}/{what}",
            pathParameters={"verdict_id": verdict_id},
            queryStringParameters=query,
            **options,
        )

    return read


def changed(aws: Any, verdict_id: str, **fields: Any) -> None:
    """Change a stored verdict, as nobody should."""
    table = aws.Table("VerdictsTable")
    key = {"id": f"verdict#acme#{verdict_id}"}
    stored = json.loads(table.get_item(Key=key)["Item"]["verdict"])
    table.update_item(
        Key=key,
        UpdateExpression="SET verdict = :verdict",
        ExpressionAttributeValues={":verdict": json.dumps(stored | fields)},
    )


# ---- replay ----


@pytest.mark.parametrize("decision", ["safe", "unsafe", "needs_review"])
def test_a_verdict_comes_out_the_same_again(judge: Judge, get: Get, decision: str) -> None:
    verdict = judge(decision=decision)
    assert verdict["answered_from"] == "cache"
    status, found = get("replay", verdict["id"])
    assert (status, found["result"], found["differences"]) == (200, "same", [])
    assert found["panel_version"] == verdict["panel_version"]


def test_a_verdict_of_a_panel_whose_machine_failed_comes_out_the_same(ask: Ask, get: Get) -> None:
    _, verdict = ask({"content": "nobody answers"})
    assert get("replay", verdict["id"])[1]["result"] == "same"


def test_a_changed_verdict_is_found_with_what_differs(judge: Judge, get: Get, aws: Any) -> None:
    verdict = judge()
    changed(aws, verdict["id"], decision="safe", score=0.1)
    _, found = get("replay", verdict["id"])
    assert found["result"] == "different"
    assert {one["field"]: (one["stored"], one["again"]) for one in found["differences"]} == {
        "decision": ("safe", "unsafe"),
        "score": (0.1, 1.0),
    }


def test_a_changed_vote_is_found_too(judge: Judge, get: Get, aws: Any) -> None:
    verdict = judge()
    votes = [vote | {"decision": "safe", "scores": {}} for vote in verdict["votes"]]
    changed(aws, verdict["id"], votes=votes)
    _, found = get("replay", verdict["id"])
    assert "decision" in {one["field"] for one in found["differences"]}


def test_a_version_that_is_not_kept_any_more_is_named(judge: Judge, get: Get, aws: Any) -> None:
    verdict = judge()
    version = verdict["panel_version"]
    aws.Table("VerdictsTable").delete_item(Key={"id": f"kept#panel#acme#default#{version}"})
    _, found = get("replay", verdict["id"])
    assert (found["result"], found["missing"]) == ("impossible", [f"panel default@{version}"])


def test_a_packaged_policy_of_an_earlier_release_is_still_there(
    judge: Judge, get: Get, aws: Any
) -> None:
    verdict = judge()
    kept = KeptVersions(aws, "VerdictsTable")
    earlier = Policy.kept("default", "0123456789ab", {"instructions": "the rules of yesterday"})
    kept._keep("kept#policy#default#0123456789ab", earlier.document())  # noqa: SLF001 as that release did
    changed(aws, verdict["id"], policy_version="0123456789ab")
    assert get("replay", verdict["id"])[1]["result"] == "same"
    changed(aws, verdict["id"], policy_version="000000000000")
    assert get("replay", verdict["id"])[1]["missing"] == ["policy default@000000000000"]


def test_a_verdict_by_a_review_rests_on_that_review(judge: Judge, get: Get, ask: Ask) -> None:
    first = judge("rude", "needs_review")
    ask(
        {"decision": "unsafe", "reviewer": "ada"},
        name="post_review.json",
        path=f"/verdicts/{first['id']}/review",
        pathParameters={"verdict_id": first["id"]},
    )
    _, again = ask({"content": "rude"})
    assert again["answered_from"] == "review"
    assert get("replay", again["id"])[1]["result"] == "same"


def test_a_verdict_by_a_list_rests_on_its_entry(ask: Ask, get: Get, aws: Any) -> None:
    address = {"path": "/policies/strict", "pathParameters": {"name": "strict"}}
    ask({"lists": {"block": ["gambling"]}}, name="put_policy.json", **address)
    _, verdict = ask({"content": "gambling here", "policy": "strict"})
    assert verdict["answered_from"] == "list"
    assert get("replay", verdict["id"])[1]["result"] == "same"
    changed(aws, verdict["id"], list_hit={"list": "block", "entry": "another"})
    assert get("replay", verdict["id"])[1]["result"] == "different"


def test_another_tenants_verdict_is_neither_replayed_nor_explained(judge: Judge, get: Get) -> None:
    verdict = judge()
    for what in ("replay", "statement"):
        assert get(what, verdict["id"], tenant="other")[0] == 404


def test_a_version_is_kept_once_in_a_process_and_again_in_the_next(
    aws: Any, faults: Faults
) -> None:
    kept = KeptVersions(aws, "VerdictsTable")
    panel = packaged("default")
    for _ in range(3):
        kept.keep("acme", panel, DEFAULT)
    assert len(faults.requests["UpdateItem"]) == 2
    KeptVersions(aws, "VerdictsTable").keep("acme", panel, DEFAULT)
    assert len(faults.requests["UpdateItem"]) == 4
    found = kept.panel("acme", "default", panel.version)
    assert found == panel
    assert kept.panel("other", "default", panel.version) is None


def test_a_process_forgets_which_versions_it_kept_rather_than_grow(
    aws: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_versions, "KNOWN_VERSIONS", 2)
    kept = KeptVersions(aws, "VerdictsTable")
    for name in ("a", "b", "c"):
        kept.keep(name, packaged("default"), DEFAULT)
    assert len(kept._known) <= 2  # noqa: SLF001 the bound itself


# ---- statements ----


def test_a_statement_is_given_in_the_language_that_is_asked_for(judge: Judge, get: Get) -> None:
    verdict = judge()
    status, found = get(
        "statement", verdict["id"], query={"language": "ko", "territory": "DE,FR"}, role="member"
    )
    assert status == 200, found
    assert found["title"] == "조치 사유 안내"
    assert found["transparency_database"]["territorial_scope"] == ["DE", "FR"]
    assert "particular" not in str(found)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"language": "xx"}, "language"),
        ({"measure": "shouted"}, "measure"),
        ({"source": "nobody"}, "source"),
        ({"territory": "germany"}, "territory"),
        ({"territory": "US"}, "territory"),
    ],
)
def test_a_statement_of_junk_is_a_400_that_names_its_field(
    judge: Judge, get: Get, query: dict[str, str], field: str
) -> None:
    status, answer = get("statement", judge()["id"], query=query)
    assert (status, answer["error"]["field"]) == (400, field)


def test_a_content_that_is_not_restricted_has_no_statement(judge: Judge, get: Get) -> None:
    status, answer = get("statement", judge(decision="safe")["id"])
    assert (status, answer["error"]["code"]) == (409, "not_restricted")


# ---- appeals ----


@pytest.fixture
def appeal(ask: Ask) -> Callable[..., tuple[int, Any]]:
    def send(verdict_id: str, words: str = "It was a joke.", **options: Any) -> tuple[int, Any]:
        body = {"words": words} | options.pop("body", {})
        return ask(
            body,
            name="post_appeal.json",
            path=f"/verdicts/{verdict_id}/appeal",
            pathParameters={"verdict_id": verdict_id},
            **{"role": "member"} | options,
        )

    return send


@pytest.fixture
def step(ask: Ask) -> Callable[..., Any]:
    """Claim a content and decide it; or only one of both."""

    def send(verdict_id: str, reviewer: str, decision: str | None = None) -> Any:
        address = {
            "path": f"/reviews/{verdict_id}/claim",
            "pathParameters": {"verdict_id": verdict_id},
        }
        status, claim = ask({"reviewer": reviewer}, name="post_claim.json", **address)
        if status != 200 or decision is None:
            return claim
        decisions = [{"verdict_id": verdict_id, "decision": decision}]
        body = {"reviewer": reviewer, "decisions": decisions}
        return ask(body, name="post_decisions.json")[1]["decisions"][0]

    return send


Appeal = Callable[..., tuple[int, Any]]
Step = Callable[..., Any]


def waiting(ask: Ask) -> list[Any]:
    found: list[Any] = ask(name="get_reviews.json", queryStringParameters=None)[1]["reviews"]
    return found


def test_an_appeal_against_a_panel_needs_the_content_and_waits_with_the_authors_words(
    judge: Judge, appeal: Appeal, ask: Ask
) -> None:
    verdict = judge()
    status, answer = appeal(verdict["id"])
    assert (status, answer["error"]["code"]) == (400, "content_needed")
    status, answer = appeal(verdict["id"], body={"content": "another text"})
    assert (status, answer["error"]["code"]) == (400, "another_content")
    status, answer = appeal(verdict["id"], body={"content": "a very particular text"})
    assert status == 200, answer
    assert (answer["appeal"]["state"], answer["appeal"]["decision"]) == ("open", "unsafe")
    (waits,) = waiting(ask)
    assert (waits["origin"], waits["appeal"]) == ("appeal", "It was a joke.")
    assert waits["content"] == "a very particular text"
    assert appeal(verdict["id"])[0] == 200, "sent again it changes nothing"
    assert len(waiting(ask)) == 1


def test_an_appeal_is_decided_by_somebody_who_has_not_decided_before(
    judge: Judge, appeal: Appeal, step: Step, ask: Ask
) -> None:
    verdict = judge("rude", "needs_review")
    assert step(verdict["id"], "ada", "unsafe")["error"] is None
    status, answer = appeal(verdict["id"])
    assert status == 200, answer
    assert step(verdict["id"], "ada")["error"]["code"] == "reviewer_excluded"
    direct = ask(
        {"decision": "safe", "reviewer": "ada"},
        name="post_review.json",
        path=f"/verdicts/{verdict['id']}/review",
        pathParameters={"verdict_id": verdict["id"]},
    )
    assert direct[1]["error"]["code"] == "reviewer_excluded"
    done = step(verdict["id"], "grace", "safe")
    assert done["verdict"]["review"]["decision"] == "safe"
    assert done["verdict"]["appeal"]["state"] == "overturned"
    assert waiting(ask) == []
    (label,) = ask(name="get_labels.json")[1]["labels"]
    assert [one["decision"] for one in label["reviews"]] == ["unsafe", "safe"]
    status, answer = appeal(verdict["id"])
    assert (status, answer["error"]["code"]) == (409, "appeal_decided")


def test_an_appeal_that_changes_nothing_is_upheld(judge: Judge, appeal: Appeal, step: Step) -> None:
    verdict = judge()
    appeal(verdict["id"], body={"content": "a very particular text"})
    assert step(verdict["id"], "ada", "unsafe")["verdict"]["appeal"]["state"] == "upheld"


def test_a_decision_on_an_appeal_that_is_undone_opens_it_again(
    judge: Judge, appeal: Appeal, step: Step, ask: Ask
) -> None:
    verdict = judge("rude", "needs_review")
    step(verdict["id"], "ada", "unsafe")
    appeal(verdict["id"])
    step(verdict["id"], "grace", "safe")
    status, undone = ask(
        {"reviewer": "grace"},
        name="post_undo.json",
        path=f"/reviews/{verdict['id']}/undo",
        pathParameters={"verdict_id": verdict["id"]},
    )
    assert status == 200, undone
    assert undone["appeal"]["state"] == "open"
    assert undone["review"]["decision"] == "unsafe"
    assert step(verdict["id"], "grace", "unsafe")["verdict"]["appeal"]["state"] == "upheld"
    report = ask(name="get_transparency.json", queryStringParameters=None)[1]
    assert report["appeals"] == {"made": 1, "upheld": 1, "overturned": 0, "overturn_rate": 0.0}


def test_what_is_not_decided_cannot_be_appealed_against(judge: Judge, appeal: Appeal) -> None:
    verdict = judge("rude", "needs_review")
    status, answer = appeal(verdict["id"])
    assert (status, answer["error"]["code"]) == (409, "not_decided")
    assert appeal("0" * 32)[0] == 404
    assert appeal(verdict["id"], tenant="other")[0] == 404


def test_an_appeal_against_a_reused_decision_is_one_against_the_decision_itself(
    judge: Judge, appeal: Appeal, step: Step, ask: Ask
) -> None:
    first = judge("rude", "needs_review")
    step(first["id"], "ada", "unsafe")
    _, copy = ask({"content": "rude"})
    assert appeal(copy["id"])[1]["appeal"]["decision"] == "unsafe"
    (waits,) = waiting(ask)
    assert waits["verdict_id"] == first["id"]
    step(first["id"], "grace", "safe")
    address = {"path": f"/verdicts/{copy['id']}", "pathParameters": {"verdict_id": copy["id"]}}
    _, shown = ask(name="get_verdict.json", **address)
    assert shown["review"]["decision"] == "safe"
    assert shown["appeal"]["state"] == "overturned"
    assert ask({"content": "rude"})[1]["decision"] == "safe"


def test_another_undecided_copy_may_come_while_an_appeal_waits(
    judge: Judge, appeal: Appeal, step: Step
) -> None:
    first = judge("rude", "needs_review")
    step(first["id"], "ada", "unsafe")
    appeal(first["id"])
    late = make.evaluation("rude", verdict_id="late")
    stored = conclude_without_votes(late, "nobody", DEFAULT, now=make.NOW)
    api.app().verdicts.record("acme", late.content, stored)
    assert api.app().waiting.counts("acme").waiting == 1


def test_an_authors_words_are_in_no_log_and_no_audit_entry_and_expire(
    judge: Judge,
    appeal: Appeal,
    ask: Ask,
    aws: Any,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    verdict = judge()
    appeal(verdict["id"], "so peculiar", body={"content": "a very particular text"})
    appeal(verdict["id"], "so peculiar" * 1000)
    entries = ask(name="get_audit.json")[1]["entries"]
    assert [entry["action"] for entry in entries] == ["appeal.made"]
    logged = [vars(record) for record in caplog.records if record.name == "quorum"]
    written = str(logged) + str(entries) + capsys.readouterr().out
    assert "peculiar" not in written
    assert "particular" not in written
    table = aws.Table("VerdictsTable")
    for kind in ("appeal", "content"):
        item = table.get_item(Key={"id": f"{kind}#acme#{verdict['id']}"})["Item"]
        days = int(item["expires_at"]) / 86_400 - datetime.now(UTC).timestamp() / 86_400
        assert 29 < days < 31


# ---- the report ----


def test_a_report_counts_decisions_errors_of_the_sample_appeals_and_time(
    judge: Judge, ask: Ask, step: Step, appeal: Appeal
) -> None:
    container: ApiContainer = api.app()
    container.verdicts._sample_of = lambda _tenant, _verdict: QualitySample(share=1.0)  # noqa: SLF001 the setting
    wrong = judge("wrongly unsafe", "unsafe")
    right = judge("rightly unsafe", "unsafe")
    kept = judge("wrongly safe", "safe")
    undecided = judge("nobody knows", "needs_review")
    step(wrong["id"], "ada", "safe")
    step(right["id"], "ada", "unsafe")
    step(kept["id"], "ada", "unsafe")
    step(undecided["id"], "ada", "safe")
    appeal(right["id"])
    step(right["id"], "grace", "unsafe")
    status, report = ask(name="get_transparency.json", queryStringParameters=None)
    assert status == 200, report
    assert report["verdicts"] == {"safe": 1, "unsafe": 2, "needs_review": 1}
    assert report["automated_share"] == 0.75
    assert report["reviewed"] == {"safe": 2, "unsafe": 2}
    assert report["quality"]["wrong"]["share"] == pytest.approx(2 / 3)
    assert report["quality"]["wrongly_unsafe"]["share"] == pytest.approx(1 / 2)
    assert report["quality"]["wrongly_safe"]["share"] == 1.0
    assert report["quality"]["wrongly_safe"]["sampled"] == 1
    assert report["appeals"] == {"made": 1, "upheld": 1, "overturned": 0, "overturn_rate": 0.0}
    assert report["median_review_seconds"] is not None
    assert report["complete"] is True


def test_a_report_of_days_without_anything_has_no_shares(ask: Ask) -> None:
    query = {"from": "2026-01-01", "to": "2026-01-31"}
    _, report = ask(name="get_transparency.json", queryStringParameters=query)
    assert report["automated_share"] is None
    assert report["median_review_seconds"] is None
    assert report["quality"] == dict.fromkeys(("wrong", "wrongly_unsafe", "wrongly_safe"))


def test_a_report_that_does_not_read_all_says_so(
    judge: Judge, ask: Ask, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transparency, "LABELS_LIMIT", 1)
    for text in ("one", "two"):
        step(judge(text, "needs_review")["id"], "ada", "safe")
    _, report = ask(name="get_transparency.json", queryStringParameters=None)
    assert (report["complete"], report["reviewed"]["safe"]) == (False, 1)


def test_a_report_takes_an_operators_key_and_is_of_one_tenant(judge: Judge, ask: Ask) -> None:
    judge()
    assert ask(name="get_transparency.json", role="member")[0] == 403
    _, report = ask(name="get_transparency.json", queryStringParameters=None, tenant="other")
    assert sum(report["verdicts"].values()) == 0


def test_a_report_is_of_the_days_that_it_is_asked_for(judge: Judge, ask: Ask) -> None:
    judge()
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    query = {"from": tomorrow, "to": tomorrow}
    _, report = ask(name="get_transparency.json", queryStringParameters=query)
    assert sum(report["verdicts"].values()) == 0
