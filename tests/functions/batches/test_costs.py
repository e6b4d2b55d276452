"""The route of costs."""

from decimal import Decimal
from typing import Any

import pytest

from tests.functions.batches.conftest import Ask
from tests.world import PRICE, Gateway, World, items


def test_the_costs_of_a_tenant_by_model_day_decision_and_tenant(ask: Ask, aws: Any) -> None:
    gateway = Gateway()
    world = World(aws, gateway)
    world.new_batch(3)
    world.judge(items("one", "two", "one"))
    status, report = ask("get_costs")
    assert status == 200
    assert report["requests"] == 3
    assert report["decisions"] == {"safe": 3, "unsafe": 0, "needs_review": 0}
    totals = report["totals"]
    assert Decimal(totals["cost_usd"]) == gateway.billed == 4 * PRICE
    assert Decimal(report["cost_per_decision_usd"]) == round(4 * PRICE / 3, 12)
    assert Decimal(report["cost_krw"]) == round(4 * PRICE * 1350, 2)
    assert (report["krw_per_usd"], report["krw_as_of"]) == ("1350", "2026-11-01")
    assert (totals["cached_votes"], totals["saved_tokens"]) == (2, 920)
    assert Decimal(totals["saved_usd"]) == 2 * PRICE
    assert [row["name"] for row in report["rows"]] == ["deepseek-v3.2", "gemini-2.5-flash"]
    for by in ("model", "tenant", "decision", "day"):
        rows = ask("get_costs", query={"by": by})[1]["rows"]
        assert sum((Decimal(row["cost_usd"]) for row in rows), Decimal(0)) == gateway.billed
    assert ask("get_costs", tenant="other")[1]["requests"] == 0
    own = ask("get_costs", tenant="other", role="operator", query={"by": "tenant"})[1]
    assert (own["requests"], own["rows"]) == (0, []), "a tenant's operator sees their own tenant"
    everyone = ask("get_costs", tenant="other", role="deployment_operator", query={"by": "tenant"})
    assert [row["name"] for row in everyone[1]["rows"]] == ["acme"]


def test_a_call_nobody_came_back_from_is_shown_as_open_and_later_as_possibly_paid(
    ask: Ask, aws: Any
) -> None:
    world = World(aws, Gateway())
    world.limiter.reserve("gpt-4.1", 460, tenant="acme", cost_usd=PRICE)
    totals = ask("get_costs")[1]["totals"]
    assert (totals["open_calls"], totals["possibly_paid_calls"]) == (1, 0)
    (intent,) = (i for i in aws.Table("UsageTable").scan()["Items"] if "created_at" in i)
    assert "expires_at" not in intent
    intent["created_at"] -= 1_200
    aws.Table("UsageTable").put_item(Item=intent)
    for _ in range(2):
        totals = ask("get_costs")[1]["totals"]
        assert (totals["open_calls"], totals["possibly_paid_calls"]) == (0, 1)
        assert Decimal(totals["possibly_paid_usd"]) == PRICE
        assert Decimal(totals["cost_usd"]) == 0


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"by": "colour"}, "by"),
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-11-02", "to": "2026-11-01"}, "to"),
        ({"from": "2024-01-01", "to": "2026-11-01"}, "to"),
    ],
)
def test_a_cost_query_that_cannot_be_answered_names_the_field(
    ask: Ask, query: dict[str, str], field: str
) -> None:
    status, problem = ask("get_costs", query=query)
    assert (status, problem["error"]["field"]) == (400, field)
