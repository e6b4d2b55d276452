"""Proposals over HTTP and by the schedule: made from labels, put by people, and recorded."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from quorum.audit.trail import AuditFilter
from quorum.aws.keys import Caller
from quorum.core.errors import StoreUnavailable
from quorum.core.models import CastVote, Content, Decision, Review, Verdict
from quorum.review import proposals
from quorum.review.scheduled import ScheduledProposals
from quorum.vote.evaluation import conclude_at_once
from quorum.vote.panel import Panel
from quorum.vote.policy import DEFAULT
from quorum.vote.reviews import Label

from functions.api import app as api
from functions.propose import app as propose
from tests import make
from tests.functions.conftest import Ask, reopen
from tests.unit.test_recalibration import POPULATION
from tests.unit.test_recalibration import panel as guard

if TYPE_CHECKING:
    from quorum.app.api import ApiContainer

PANEL = "guard"
VOTERS = {"ada": "gpt-4.1", "bob": "gpt-4.1-nano"}
OWN = f"/quorum/tenants/acme/panels/{PANEL}"
SHADOW = f"/quorum/tenants/acme/shadow/{PANEL}"
Send = Callable[..., tuple[int, Any]]


def drifted() -> Panel:
    """The panel in force, of voters that there are, which thinks everything too unsafe."""
    text = guard(intercept=2.0).model_dump_json(exclude_defaults=True)
    for name, voter in VOTERS.items():
        text = text.replace(f'"{name}"', f'"{voter}"')
    document = json.loads(text)
    document["rule"]["kind"] = "calibrated"
    return Panel.model_validate(document)


@pytest.fixture
def parameters(ask: Ask) -> Iterator[Any]:
    """SSM, with the drifted panel in force for the deployment."""
    ssm = boto3.client("ssm")
    put(ssm, f"/quorum/panels/{PANEL}", drifted())
    yield ssm
    reopen(api)


def put(ssm: Any, name: str, panel: Panel) -> None:
    ssm.put_parameter(Name=name, Value=json.dumps(panel.document()), Type="String", Overwrite=True)


def value(ssm: Any, name: str) -> Panel | None:
    try:
        return Panel.model_validate_json(ssm.get_parameter(Name=name)["Parameter"]["Value"])
    except ssm.exceptions.ParameterNotFound:
        return None


def judged(number: int, at: datetime) -> Verdict:
    """The verdict of the drifted panel on a content of the population."""
    votes = [
        vote.model_copy(update={"voter": VOTERS[vote.voter]}) for vote in POPULATION[number].votes
    ]
    evaluation = make.evaluation(panel=drifted(), verdict_id=f"{number:032x}")
    return conclude_at_once(evaluation, votes, DEFAULT, now=at.timestamp())


def said(number: int, at: datetime) -> Review:
    """A person's decision on it, which is right."""
    decision = Decision.UNSAFE if POPULATION[number].unsafe else Decision.SAFE
    return Review(decision=decision, reviewer="ada", reviewed_at=at)


@cache
def labels() -> tuple[Label, ...]:
    """Labels of 220 contents."""
    at = datetime.now(UTC) - timedelta(hours=1)
    return tuple(
        Label(
            verdict=judged(number, at),
            content=None,
            reviews=(said(number, at),),
            count=1,
            first_seen=at,
            last_seen=at,
        )
        for number in range(220)
    )


@pytest.fixture
def labelled(parameters: Any, monkeypatch: pytest.MonkeyPatch) -> "ApiContainer":
    """The API's container; acme has labels, and nobody else."""
    monkeypatch.setattr(
        proposals.Labels, "latest", lambda _self, tenant: labels() if tenant == "acme" else ()
    )
    container: ApiContainer = api.app()
    return container


@pytest.fixture
def send(ask: Ask) -> Send:
    def to(step: str, proposal: str = "", **options: Any) -> tuple[int, Any]:
        """A step with a proposal; none is a new one."""
        body = options.pop("body", {"person": "bo"})
        if step == "propose":
            body = {"panel": PANEL} | body
            return ask(body, name="post_proposal.json", **options)
        return ask(
            body,
            name=f"{step}_proposal.json",
            path=f"/proposals/{proposal}/{step}",
            pathParameters={"proposal_id": proposal},
            **options,
        )

    return to


def read(ask: Ask, proposal: str, **options: Any) -> tuple[int, Any]:
    return ask(
        name="get_proposal.json",
        path=f"/proposals/{proposal}",
        pathParameters={"proposal_id": proposal},
        **options,
    )


def test_a_proposal_says_what_it_would_change_and_has_no_effect_before_a_person_puts_it(
    labelled: "ApiContainer", parameters: Any, send: Send, ask: Ask
) -> None:
    status, made = send("propose")
    assert status == 201, made
    assert (made["state"], made["from_version"]) == ("proposed", drifted().version)
    assert made["intercept"] < -1
    assert made["labels"] == 220
    assert made["changes"]["accuracy"]["change"]["value"] > 0
    for figure in made["changes"].values():
        assert all(one["low"] <= one["value"] <= one["high"] for one in figure.values())
    assert value(parameters, OWN) is None
    assert value(parameters, SHADOW) is None

    status, shown = send("shadow", made["id"])
    assert (status, shown["state"]) == (200, "shadow")
    seen = value(parameters, SHADOW)
    assert seen is not None
    assert seen.version == made["version"] == Panel.model_validate(made["panel"]).version
    assert labelled.panels_now.get("acme", PANEL).version == drifted().version

    status, promoted = send("promote", made["id"], body={"person": "cy"})
    assert (status, promoted["state"]) == (200, "promoted")
    assert labelled.panels_now.get("acme", PANEL).version == made["version"]
    assert labelled.panels_now.get("other", PANEL).version == drifted().version
    assert value(parameters, SHADOW) is None
    assert [one["person"] for one in promoted["steps"]] == ["bo", "bo", "cy"]
    assert read(ask, made["id"]) == (200, promoted)


def test_every_step_is_in_the_audit_trail_with_both_versions(
    labelled: "ApiContainer", send: Send
) -> None:
    _, first = send("propose")
    send("shadow", first["id"])
    send("promote", first["id"], body={"person": "cy"})
    entries = labelled.audit.page("acme", AuditFilter(subject=f"panel/{PANEL}")).entries
    assert [(one.action, one.person) for one in reversed(entries)] == [
        ("proposal.made", "bo"),
        ("panel_shadow.put", "bo"),
        ("panel.put", "cy"),
    ]
    for one in entries:
        assert one.before["version"] == drifted().version
        assert one.after["version"] == first["version"]
        assert one.after["proposal"] == first["id"]


def test_a_proposal_of_a_version_that_is_no_longer_in_force_is_refused(
    labelled: "ApiContainer", parameters: Any, send: Send
) -> None:
    _, made = send("propose")
    put(
        parameters,
        OWN,
        guard(
            intercept=0.5,
            rounds=[["gpt-4.1"]],
            stop="all",
            risk=None,
            rule={
                "kind": "calibrated",
                "stages": [{"bias": 0.0, "evidence": {"gpt-4.1": {"slope": 1.0}}}],
            },
        ),
    )
    for step in ("shadow",):
        status, problem = send(step, made["id"])
        assert (status, problem["error"]["code"]) == (409, "panel_changed")
    parameters.delete_parameter(Name=OWN)
    assert send("shadow", made["id"])[0] == 200
    put(parameters, OWN, drifted().model_copy(update={"description": "another"}))
    status, problem = send("promote", made["id"])
    assert (status, problem["error"]["code"]) == (409, "panel_changed")
    assert send("withdraw", made["id"])[1]["state"] == "withdrawn"
    assert value(parameters, SHADOW) is None


def test_a_proposal_is_a_shadow_before_it_is_in_force_and_a_withdrawn_one_never(
    labelled: "ApiContainer", parameters: Any, send: Send
) -> None:
    _, made = send("propose")
    status, problem = send("promote", made["id"])
    assert (status, problem["error"]["code"]) == (409, "proposal_state")
    assert send("withdraw", made["id"])[0] == 200
    for step in ("shadow", "promote"):
        assert send(step, made["id"])[0] == 409
    assert value(parameters, SHADOW) is None


def test_a_step_whose_parameter_could_not_be_written_is_finished_by_the_same_request(
    labelled: "ApiContainer", parameters: Any, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    from botocore.exceptions import EndpointConnectionError  # noqa: PLC0415 - used here alone

    _, made = send("propose")
    send("shadow", made["id"])

    def down(**_given: Any) -> None:
        raise EndpointConnectionError(endpoint_url="https://ssm")

    with monkeypatch.context() as broken:
        broken.setattr(labelled.ssm, "put_parameter", down)
        assert send("promote", made["id"])[0] == 503
    assert labelled.panels_now.get("acme", PANEL).version == drifted().version
    assert send("promote", made["id"])[0] == 200
    assert labelled.panels_now.get("acme", PANEL).version == made["version"]
    wanted = AuditFilter(subject=f"panel/{PANEL}")
    assert len(labelled.audit.page("acme", wanted).entries) == 3


def test_few_labels_and_panels_without_probabilities_are_refused(
    labelled: "ApiContainer", send: Send
) -> None:
    status, problem = send("propose", body={"policy": "gaming"})
    assert (status, problem["error"]["code"]) == (409, "too_few_labels")
    assert problem["error"]["limit"] == 100
    status, problem = send("propose", body={"panel": "default"})
    assert (status, problem["error"]["code"]) == (400, "not_calibrated")
    assert send("propose", body={"panel": "nobody"})[0] == 400


def test_proposals_are_the_tenants_own_and_operators_alone_put_them(
    labelled: "ApiContainer", send: Send, ask: Ask
) -> None:
    _, made = send("propose")
    _, second = send("propose")
    assert read(ask, made["id"], tenant="other")[0] == 404
    assert send("shadow", made["id"], tenant="other")[0] == 404
    reviewer = {"scopes": "review", "name": "desk"}
    assert send("promote", made["id"], rights=reviewer)[0] == 403
    page = ask(name="get_proposals.json", queryStringParameters={"limit": "1"})[1]
    assert [one["id"] for one in page["proposals"]] == [second["id"]]
    query = {"limit": "1", "next": page["next"]}
    rest = ask(name="get_proposals.json", queryStringParameters=query)[1]
    assert [one["id"] for one in rest["proposals"]] == [made["id"]]


# ---- the schedule --------------------------------------------------------------------------------


@pytest.fixture
def scheduled(labelled: "ApiContainer", within: Callable[[str], None], context: Any) -> Any:
    """Run the scheduled function, which has this long left; returns what it found."""

    def run(seconds: float = 600) -> dict[str, Any]:
        within("ProposeFunction")
        reopen(propose)
        context.get_remaining_time_in_millis = lambda: int(1000 * seconds)
        found: dict[str, Any] = propose.handler({}, context)
        within("ApiFunction")
        return found

    for tenant in ("acme", "acme", "other"):
        labelled.keys.issue(Caller(tenant=tenant, role="operator"))
    return run


def test_the_schedule_proposes_where_labels_call_for_it_and_puts_nothing(
    labelled: "ApiContainer", parameters: Any, scheduled: Any
) -> None:
    assert scheduled() == {"tenants": 2, "proposals": 1, "failed": 0, "left": 0}
    (made,) = labelled.proposals.page("acme").proposals
    assert made.why == ("220 labels since the last proposal, worth 220",)
    assert made.steps[0].by == "schedule"
    assert value(parameters, OWN) is None
    assert value(parameters, SHADOW) is None
    assert scheduled()["proposals"] == 0, "there are no new labels"
    assert labelled.proposals.page("other").proposals == ()


def test_a_run_in_which_a_tenant_failed_looks_at_the_others_and_then_fails(
    labelled: "ApiContainer", scheduled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = ScheduledProposals.propose

    def failing(self: ScheduledProposals, tenant: str) -> Any:
        if tenant == "other":
            raise StoreUnavailable("the labels could not be read")
        return look(self, tenant)

    monkeypatch.setattr(ScheduledProposals, "propose", failing)
    with pytest.raises(StoreUnavailable, match="1 of 2 tenants"):
        scheduled()
    assert len(labelled.proposals.page("acme").proposals) == 1


def test_a_drift_calls_for_a_proposal_before_there_are_many_labels(
    labelled: "ApiContainer", scheduled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proposals, "NEW_LABELS", 10_000)
    assert scheduled()["proposals"] == 0
    changed = tuple(drift())
    monkeypatch.setattr(
        proposals.Labels, "latest", lambda _self, tenant: changed if tenant == "acme" else ()
    )
    assert scheduled()["proposals"] == 1
    (made,) = labelled.proposals.page("acme").proposals
    assert made.why == ("gpt-4.1 agrees with people less than before",)
    assert scheduled()["proposals"] == 0, "the same version is not proposed for again"


def drift() -> Iterator[Label]:
    """Labels with which one voter agreed two months ago, and now does in every second one."""
    for number, one in enumerate(labels()):
        old = number % 2 == 0
        review = one.reviews[-1]
        voted = next(
            vote.decision
            for vote in one.verdict.votes
            if isinstance(vote, CastVote) and vote.voter == "gpt-4.1"
        )
        other = Decision.SAFE if voted is Decision.UNSAFE else Decision.UNSAFE
        decision = voted if old or number % 4 == 1 else other
        at = review.reviewed_at - timedelta(days=60 if old else 0)
        changed = review.model_copy(update={"decision": decision, "reviewed_at": at})
        yield one.model_copy(update={"reviews": (changed,)})


def test_the_latest_labels_are_read_page_by_page_without_their_contents(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    container: ApiContainer = api.app()
    at = datetime.now(UTC) - timedelta(hours=1)
    for number in range(4):
        verdict = judged(number, at + timedelta(minutes=number))
        container.verdicts.record("acme", Content(text=f"text {number}"), verdict)
        container.reviews.add("acme", verdict.id, said(number, at), by="test")
    monkeypatch.setattr(proposals, "LABELS_AT_ONCE", 2)
    found = container.labels.latest("acme", 3)
    assert [one.verdict.id for one in found] == [f"{number:032x}" for number in (1, 2, 3)]
    assert all(one.content is None for one in found)
    assert container.labels.latest("other") == ()


def test_a_run_without_time_leaves_tenants_to_the_next_day(scheduled: Any) -> None:
    assert scheduled(seconds=30) == {"tenants": 0, "proposals": 0, "failed": 0, "left": 2}
