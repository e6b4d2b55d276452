"""Query parameters: a route refuses one that it does not have, and says which it has.

One that is given several times where one value counts is refused as such.
"""

import json
from typing import Any

import pytest
from quorum.routes.perspective import GOOGLES_PARAMETERS

from functions.api import app as api
from functions.estimate import app as estimate
from functions.webhooks import app as webhooks
from tests.functions.conftest import Ask, reopen
from tests.functions.test_other_tenants import events

FUNCTIONS = {
    "/documents/estimate": ("EstimateFunction", estimate),
    "/webhooks": ("WebhooksFunction", webhooks),
    "/events": ("WebhooksFunction", webhooks),
}
"""The functions of routes that are not the API function's, by the beginning of their path."""
PUBLIC = ("/docs", "/openapi.json", "/console")
"""Pages, for browsers: whatever stands behind their address is nothing that they filter by."""
ROUTES = {
    name: (method, path)
    for (method, path), name in events().items()
    if not path.startswith(PUBLIC) and path != "/"
}


def error_of(answer: Any) -> dict[str, Any]:
    """What any of the three forms says of an error."""
    told: dict[str, Any] = answer["error"]
    fields = [
        violation["field"]
        for detail in told.get("details", ())
        for violation in detail.get("fieldViolations", ())
    ]
    return {"field": told.get("field") or told.get("param") or fields[0], "says": told["message"]}


@pytest.mark.parametrize("name", ROUTES)
def test_every_route_refuses_a_parameter_that_it_does_not_have(
    ask: Ask, event: Any, within: Any, context: Any, name: str
) -> None:
    _, path = ROUTES[name]
    sent = dict(event(name)["queryStringParameters"] or {}) | {"decison": "unsafe"}
    changes = {"queryStringParameters": sent, "multiValueQueryStringParameters": None}
    for beginning, (function, app) in FUNCTIONS.items():
        if path.startswith(beginning):
            within(function)
            reopen(app)
            answered = app.handler(event(name) | changes, context)
            status, answer = answered["statusCode"], json.loads(answered["body"])
            break
    else:
        if name == "get_discovery.json":  # nobody's key is asked for
            answered = api.handler(event(name) | changes, context)
            assert answered["statusCode"] == 400
            return
        status, answer = ask(name=name, rights={"role": "deployment_operator"}, **changes)
    assert status == 400, answer
    assert error_of(answer)["field"] == "decison"
    assert "decison: this route has no such query parameter" in error_of(answer)["says"]


def test_what_a_route_has_is_named(ask: Ask) -> None:
    status, answer = ask(
        name="get_costs.json", queryStringParameters={"until": "2026-01-01", "by": "tenant"}
    )
    assert status == 400
    assert answer["error"] == {
        "code": "unknown_parameter",
        "message": "until: this route has no such query parameter; it has from, to, by",
        "field": "until",
        "limit": "from, to, by",
    }


def test_a_parameter_that_is_given_several_times_is_known_as_well(ask: Ask) -> None:
    many = {"metadta": ["a=b", "c=d"]}
    status, answer = ask(
        name="get_verdicts.json",
        queryStringParameters=None,
        multiValueQueryStringParameters=many,
    )
    assert (status, answer["error"]["field"]) == (400, "metadta")


@pytest.mark.parametrize(
    ("route", "name", "values"),
    [
        ("get_verdicts", "decision", ["safe", "unsafe"]),
        ("get_verdicts", "decision", ["safe", "safe"]),
        ("get_verdicts", "from", ["2026-11-01", "2026-11-02"]),
        ("get_verdicts", "limit", ["1", "2"]),
        ("get_results", "gaps", ["true", "false"]),
        ("get_panels", "name", ["default", "economy"]),
    ],
)
def test_a_parameter_that_counts_once_is_not_given_twice(
    ask: Ask, route: str, name: str, values: list[str]
) -> None:
    status, answer = ask(
        name=f"{route}.json",
        queryStringParameters={name: values[-1]},
        multiValueQueryStringParameters={name: values},
    )
    assert status == 400
    assert answer["error"] == {
        "code": "name_repeated",
        "message": f"{name}: stands several times in the query; only one value could count",
        "field": name,
    }


def test_a_filter_that_may_be_given_several_times_is(ask: Ask) -> None:
    status, answer = ask(
        name="get_verdicts.json",
        queryStringParameters={"metadata": "c=d"},
        multiValueQueryStringParameters={"metadata": ["a=b", "c=d"]},
    )
    assert status == 200, answer


def test_one_value_in_both_of_the_events_forms_is_one(ask: Ask) -> None:
    status, answer = ask(
        name="get_verdicts.json",
        queryStringParameters={"decision": "safe"},
        multiValueQueryStringParameters={"decision": ["safe"]},
    )
    assert status == 200, answer


def test_the_key_may_stand_in_any_address(ask: Ask) -> None:
    status, _ = ask(name="get_models.json", queryStringParameters={"key": "qk_1"})
    assert status == 200


@pytest.mark.parametrize("dollar", ["", "$"])
def test_the_parameters_of_all_of_googles_apis_are_taken(
    ask: Ask, event: Any, context: Any, dollar: str
) -> None:
    sent = {f"{dollar}{name}": "json" for name in GOOGLES_PARAMETERS}
    found = event("get_discovery.json") | {"queryStringParameters": sent}
    assert api.handler(found, context)["statusCode"] == 200
    for name in ("analyze_comment.json", "suggest_comment_score.json"):
        status, answer = ask({"comment": {"text": ""}}, name=name, queryStringParameters=sent)
        assert status == 400
        assert "query parameter" not in answer["error"]["message"]


def test_googles_parameters_are_those_of_googles_routes_alone(ask: Ask) -> None:
    status, answer = ask(name="get_models.json", queryStringParameters={"alt": "json"})
    assert (status, answer["error"]["field"]) == (400, "alt")
