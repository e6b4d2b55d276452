"""What a million verdicts cost: arithmetic that may not bend, and the page that it writes."""

import json
import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quorum.vote.panel import PACKAGED, packaged
from typer.testing import CliRunner

from analysis import cost_model
from analysis.cost_model import INSTRUCTIONS, MODELS, Use, million
from analysis.cost_page import page
from cli.app import app
from tests.template import ROOT

CALLS = st.decimals(min_value=0, max_value=3, places=3)
VOTER = st.sampled_from(
    ["gpt-4.1", "gpt-4.1-nano", "gemini-2.5-flash", "deepseek-v3.2", "rules", "meaning"]
)
ASKED = st.dictionaries(VOTER, CALLS, max_size=6)
ROUNDS = st.decimals(min_value=1, max_value=3, places=2)
RATE = st.decimals(min_value=0, max_value=1, places=3)


@given(ASKED, ROUNDS, VOTER, CALLS, RATE)
def test_more_calls_never_cost_less(
    asked: dict[str, Decimal], rounds: Decimal, voter: str, more: Decimal, rate: Decimal
) -> None:
    dearer = asked | {voter: asked.get(voter, Decimal(0)) + more}
    fewer, many = (million(Use(calls, rounds), rate) for calls in (asked, dearer))
    assert all(many.items[item] >= fewer.items[item] for item in fewer.items)


@given(ASKED, ROUNDS)
def test_verdicts_that_are_all_cached_cost_no_model_and_less_than_others(
    asked: dict[str, Decimal], rounds: Decimal
) -> None:
    use = Use(asked, rounds)
    cached = million(use, Decimal(1))
    assert cached.items[MODELS] == 0
    assert 0 < cached.total < million(use).total


@given(ASKED, ROUNDS, RATE, RATE)
def test_a_higher_hit_rate_never_costs_more(
    asked: dict[str, Decimal], rounds: Decimal, one: Decimal, other: Decimal
) -> None:
    low, high = sorted((one, other))
    assert million(Use(asked, rounds), high).total <= million(Use(asked, rounds), low).total


@given(ASKED, ROUNDS, st.integers(2, 8))
def test_packed_calls_save_instructions_and_nothing_else(
    asked: dict[str, Decimal], rounds: Decimal, packed: int
) -> None:
    single, many = (million(Use(asked, rounds, size)) for size in (1, packed))
    saved = single.avoidable[INSTRUCTIONS] - many.avoidable[INSTRUCTIONS]
    assert abs(single.items[MODELS] - many.items[MODELS] - saved) < Decimal("1e-9")
    assert single.total - many.total >= 0


def test_the_cost_of_a_model_is_its_price_times_its_tokens() -> None:
    alone = million(Use({"gpt-4.1": Decimal(1)}, Decimal(1)))
    tokens_in, tokens_out = Decimal(325) + Decimal("71.3"), Decimal(42)
    assert alone.items[MODELS] == tokens_in * 2 + tokens_out * 8


@pytest.mark.parametrize("rate", [Decimal("-0.1"), Decimal("1.1")])
def test_a_hit_rate_that_is_no_share_is_refused(rate: Decimal) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        million(Use({}, Decimal(1)), rate)


def test_a_call_without_a_content_is_refused() -> None:
    with pytest.raises(ValueError, match="one content"):
        million(Use({}, Decimal(1), 0))


def test_every_packaged_panel_is_priced_with_its_voters_and_its_stop_rule() -> None:
    known = cost_model.facts()
    for name in PACKAGED:
        panel = packaged(name)
        assert str(panel.stop) in known.calls.asked[name]
        for stop, asked in known.calls.asked[name].items():
            assert set(asked) == set(panel.voters), (name, stop)
            assert stop in known.calls.rounds[name]


def test_calls_were_counted_with_the_packaged_panels() -> None:
    counted = cost_model.facts().calls.panels
    assert counted == {name: packaged(name).version for name in PACKAGED}


def test_the_command_shows_a_table_of_eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = CliRunner().invoke(app, ["cost-model"])
    assert shown.exit_code == 0, shown.output
    assert max(map(len, shown.output.splitlines())) <= 80
    assert re.search(r"^default +settled +0% +496\.9 .* 571\.6$", shown.output, re.MULTILINE)
    assert INSTRUCTIONS in shown.output.replace("\n", " ")


def test_the_command_gives_exact_dollars_as_json_and_refuses_panels_that_it_does_not_know() -> None:
    shown = CliRunner().invoke(
        app, ["cost-model", "--panel", "economy", "--hit-rate", "1", "--json"]
    )
    rows = json.loads(shown.stdout)
    assert {row["panel"] for row in rows} == {"economy"}
    assert {Decimal(row["cost_usd"]["models"]) for row in rows} == {Decimal(0)}
    assert CliRunner().invoke(app, ["cost-model", "--panel", "other"]).exit_code == 2


def test_the_command_draws_a_plot(tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["cost-model", "--plot", str(tmp_path / "costs.png")])
    assert shown.exit_code == 0, shown.output
    assert (tmp_path / "costs.png").read_bytes().startswith(b"\x89PNG")


def test_the_page_of_costs_is_what_the_command_writes() -> None:
    assert (ROOT / "docs/costs.md").read_text() == page()
