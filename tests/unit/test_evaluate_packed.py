"""`quorum evaluate --packed`: what packing does to a panel, by recorded votes or asked for now."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from analysis import packed, recorded
from analysis.recorded import VotesUnreadable
from cli.app import app
from fakes.gateway import RecordedVotes, Scenario, running

PANEL: dict[str, Any] = {
    "name": "pair",
    "rounds": [["gpt-4.1", "gemini-2.5-flash"], ["deepseek-v3.2"]],
    "stop": "settled",
    "quorum": 2,
    "rule": {"kind": "majority"},
}
VOTERS = [voter for asked in PANEL["rounds"] for voter in asked]
TEXTS = {
    "Thank you for the lovely evening.": "safe",
    "You are a worthless idiot.": "unsafe",
    "We meet at the lake at noon.": "safe",
    "Everybody here hates you.": "unsafe",
}


@pytest.fixture
def panel(tmp_path: Path) -> str:
    file = tmp_path / "panel.json"
    file.write_text(json.dumps(PANEL), encoding="utf-8")
    return str(file)


def write(
    file: Path,
    *,
    texts: dict[str, str] = TEXTS,
    wrong: tuple[str, ...] = (),
    tokens: int | None = 400,
    policy: str = "default@1",
) -> Path:
    """Votes as `quorum record` writes them: right, but for the texts in `wrong`."""
    turned = {"safe": "unsafe", "unsafe": "safe"}
    with file.open("w", encoding="utf-8", newline="") as out:
        rows = [
            {"language": "en", "text": text, "gold": gold, "policy": policy}
            | {
                name: cell
                for voter in VOTERS
                for name, cell in {
                    voter: turned[gold] if text in wrong else gold,
                    f"{voter}.confidence": "0.9",
                    **({} if tokens is None else {f"{voter}.tokens": str(tokens)}),
                    **({} if tokens is None else {f"{voter}.cost_usd": f"{tokens / 1e6:f}"}),
                }.items()
            }
            for text, gold in texts.items()
        ]
        writer = csv.DictWriter(out, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return file


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


def measured(*arguments: object) -> dict[str, Any]:
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.output
    return dict(json.loads(done.stdout))


def test_both_ways_are_measured_on_the_same_texts_with_their_differences(
    tmp_path: Path, panel: str
) -> None:
    alone = write(tmp_path / "alone.csv")
    backwards = dict(reversed(TEXTS.items()))
    bad = "Everybody here hates you."
    together = write(tmp_path / "packed.csv", texts=backwards, wrong=(bad,), tokens=100)
    found = measured(alone, "--panel", panel, "--packed", 8, "--packed-votes", together)
    of_panel = found["overall"]
    assert of_panel["alone"]["accuracy"]["value"] == 1
    assert of_panel["packed"]["accuracy"]["value"] == pytest.approx(3 / 4)
    assert of_panel["difference"]["accuracy"]["value"] == pytest.approx(-1 / 4)
    assert of_panel["difference"]["recall"]["value"] == pytest.approx(-1 / 2)
    assert of_panel["difference"]["accuracy"]["low"] <= -1 / 4
    # Two voters agree, so the third is not asked.
    assert of_panel["alone"]["tokens_per_text"]["value"] == pytest.approx(800)
    assert of_panel["packed"]["tokens_per_text"]["value"] == pytest.approx(200)
    assert of_panel["alone"]["cost_per_1000_usd"]["value"] == pytest.approx(0.8)
    assert of_panel["difference"]["cost_per_1000_usd"]["value"] == pytest.approx(-0.6)
    assert found["voters"]["deepseek-v3.2"]["alone"]["tokens_per_text"]["value"] == 400
    assert found["changes"] == [{"alone": "unsafe", "packed": "safe", "rows": 1}]
    assert (found["packed"], found["panel"]["name"]) == (8, "pair")


def test_the_table_has_both_ways_their_intervals_and_what_changes(
    tmp_path: Path, panel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    alone = write(tmp_path / "alone.csv")
    together = write(tmp_path / "packed.csv", wrong=tuple(TEXTS), tokens=100)
    done = run(alone, "--panel", panel, "--packed", 4, "--packed-votes", together)
    assert done.exit_code == 0, done.output
    lines = [line.split() for line in done.stdout.splitlines()]
    alone_at = next(index for index, line in enumerate(lines) if line[:1] == ["alone"])
    assert lines[alone_at][1:5] == ["100.0%", "(51.0%", "to", "100.0%)"]
    assert lines[alone_at + 1][:5] == ["4", "in", "a", "call", "0.0%"]
    assert lines[alone_at + 2][:2] == ["difference", "-100.0%"]
    assert "800 (800 to 800)" in done.stdout
    assert "-600 (-600 to -600)" in done.stdout
    assert "4 of 4 verdicts change: 2 from safe to unsafe, 2 from unsafe to safe" in done.stdout


def test_votes_recorded_without_their_cost_are_measured_without_it(
    tmp_path: Path, panel: str
) -> None:
    alone = write(tmp_path / "alone.csv", tokens=None)
    together = write(tmp_path / "packed.csv")
    found = measured(alone, "--panel", panel, "--packed", 2, "--packed-votes", together)["overall"]
    assert found["alone"]["tokens_per_text"] is None
    assert found["packed"]["tokens_per_text"]["value"] == 800
    assert found["difference"]["tokens_per_text"] is found["difference"]["cost_per_1000_usd"]


@pytest.mark.parametrize("keeps", [True, False])
def test_votes_that_are_not_there_are_asked_for_both_ways(
    tmp_path: Path, panel: str, monkeypatch: pytest.MonkeyPatch, *, keeps: bool
) -> None:
    texts, kept = tmp_path / "texts.csv", tmp_path / "packed.csv"
    with texts.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *TEXTS.items()])
    answers = RecordedVotes({text: dict.fromkeys(VOTERS, gold) for text, gold in TEXTS.items()})
    with running(Scenario(), recorded=answers) as stand_in:
        monkeypatch.setenv("GATEWAY_BASE_URL", stand_in.base_url)
        monkeypatch.setenv("GATEWAY_API_KEY", "sk-stand-in")
        options = ("--packed-votes", kept) if keeps else ()
        found = measured(texts, "--panel", panel, "--packed", 4, *options)
        assert stand_in.count.requests == len(VOTERS) * (len(TEXTS) + 1)
        paid = stand_in.count.cost_usd
        if keeps:  # the second time only the texts alone are asked about
            measured(texts, "--panel", panel, "--packed", 4, *options)
            assert stand_in.count.requests == len(VOTERS) * (2 * len(TEXTS) + 1)
    assert found["overall"]["difference"]["accuracy"]["value"] == 0
    assert found["overall"]["difference"]["tokens_per_text"]["high"] < -100
    assert kept.exists() == keeps
    each = [
        pair[way]["cost_per_1000_usd"]["value"] * len(TEXTS) / 1000
        for pair in found["voters"].values()
        for way in ("alone", "packed")
    ]
    assert sum(each) == pytest.approx(float(paid))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"texts": {"Another text.": "safe"} | TEXTS}, "on other texts"),
        ({"texts": {"Another text.": "safe"} | dict(list(TEXTS.items())[1:])}, "on other texts"),
        ({"policy": "default@2"}, "under another policy"),
    ],
)
def test_packed_votes_on_something_else_are_refused(
    tmp_path: Path, panel: str, change: dict[str, Any], complaint: str
) -> None:
    alone = write(tmp_path / "alone.csv")
    together = write(tmp_path / "packed.csv", **change)
    done = run(alone, "--panel", panel, "--packed", 8, "--packed-votes", together)
    assert done.exit_code == 2
    assert complaint in " ".join(done.output.replace("│", "").split())


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--packed", "8"), "needs --panel"),
        (("--packed", "9", "--panel", "default"), "less than or equal to 8"),
        (("--packed", "8", "--panel", "embedded"), "has no language model"),
        (("--packed-votes", "x.csv"), "go with --packed"),
    ],
)
def test_options_that_make_no_sense_together_are_refused(
    tmp_path: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    done = run(write(tmp_path / "votes.csv"), *arguments)
    assert done.exit_code == 2
    assert complaint in " ".join(done.output.replace("│", "").split())


def test_a_text_that_stands_twice_is_paired_in_order(tmp_path: Path) -> None:
    file = write(tmp_path / "votes.csv")
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join([*lines, lines[1].replace(",safe,0.9,400", ",safe,0.7,500")]))
    twice = recorded.read(file)
    order = packed.paired(twice, twice)
    assert list(order.confidences[[0, -1], 0]) == [0.9, 0.7]


def test_what_a_vote_took_is_a_number(tmp_path: Path) -> None:
    file = write(tmp_path / "votes.csv")
    file.write_text(file.read_text(encoding="utf-8").replace(",400,", ",-4,", 1))
    with pytest.raises(VotesUnreadable, match=r"row 2, column 'gpt-4\.1\.tokens': no number of 0"):
        recorded.read(file)
