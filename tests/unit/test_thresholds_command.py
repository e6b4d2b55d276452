"""`quorum thresholds`: a threshold that keeps a flag rate, and agreement with Perspective's."""

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from quorum.vote import panel
from quorum.vote.evaluation import conclude_at_once
from quorum.vote.perspective import AnalyzeCommentRequest
from quorum.vote.policy import DEFAULT
from typer.testing import CliRunner, Result

from cli import thresholds
from cli.app import app
from tests import make


class Moderator:
    """Judges a text by the number in it; one without a number has no score."""

    panel = panel.packaged("embedded")
    policy = DEFAULT

    def judge(self, content: Any) -> Any:
        number = content.text.partition(" ")[2]
        scores = {"attribute_scores": {"toxicity": float(number)}} if number else {}
        vote = make.cast("meaning", "safe", **scores)
        evaluation = make.evaluation(panel_name="embedded", content=content)
        return conclude_at_once(evaluation, [vote], DEFAULT, now=make.NOW)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the command on rows of text, language and Perspective's score."""

    @contextmanager
    def moderator_of(*_given: Any, **how: Any) -> Iterator[Moderator]:
        assert how == {"everyone": False}
        yield Moderator()

    monkeypatch.setattr(thresholds, "moderator_of", moderator_of)

    def command(rows: list[dict[str, Any]], *options: str) -> Result:
        file = tmp_path / "texts.csv"
        with file.open("w", newline="") as opened:
            writer = csv.DictWriter(opened, ["text", "language", "their_score"])
            writer.writeheader()
            writer.writerows(rows)
        return CliRunner().invoke(app, ["thresholds", str(file), *options])

    return command


ROWS = [
    {"text": f"text 0.{index:02}", "language": "en", "their_score": f"0.{index:02}"}
    for index in range(100)
]


def lines(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)["lines"]
    return found


def test_the_threshold_keeps_the_flag_rate_in_all_texts_and_in_each_language(run: Any) -> None:
    rows = [*ROWS, *({"text": "text 0.99", "language": "de"} for _ in range(10))]
    every, english = lines(run(rows, "--flag-rate", "0.05", "--json"))
    assert (english["language"], english["texts"]) == ("en", 100)
    assert (english["threshold"], english["flagged"]) == (0.9401, 5)
    assert (every["language"], every["texts"], every["flagged"]) == ("all", 110, 0)


@pytest.mark.parametrize(
    "name", ["TOXICITY@6", "TOXICITY_EXPERIMENTAL", "TOXICITY_EXPERIMENTAL@2", "toxicity@6"]
)
def test_an_attribute_is_called_as_perspectives_clients_call_it(run: Any, name: str) -> None:
    result = run(ROWS, "--flag-rate", "0.05", "--attribute", name, "--json")
    assert lines(result)[0]["threshold"] == 0.9401
    asked = {"comment": {"text": "a"}, "requestedAttributes": {name.upper(): {}}}
    assert len(AnalyzeCommentRequest.model_validate(asked).served()) == 1


def test_perspectives_scores_give_the_rate_and_are_compared(run: Any) -> None:
    result = run(ROWS, "--perspective", "their_score", "--json")
    every, _ = lines(result)
    assert (every["threshold"], every["flagged"], every["perspective_flagged"]) == (0.7901, 20, 20)
    assert every["agreement"]["agreement"] == 1.0
    assert every["agreement"]["rank_correlation"] == pytest.approx(1.0)


def test_the_table_is_for_people_and_texts_without_a_score_are_told(run: Any) -> None:
    result = run([*ROWS, {"text": "unread", "language": "ro"}], "--flag-rate", "0.1")
    assert result.exit_code == 0, result.output
    assert "0.8901" in result.stdout
    assert "1 texts have no score" not in result.stderr
    assert "1 text has no score" in result.stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "--flag-rate"),
        (["--flag-rate", "5"], "between 0 and 1"),
        (["--flag-rate", "0.1", "--attribute", "RUDENESS"], "TOXICITY"),
        (["--flag-rate", "0.1", "--attribute", "TOXICITY@x"], "TOXICITY"),
        (["--flag-rate", "0.1", "--attribute", "SPAM@2"], "TOXICITY"),
        (["--perspective", "none"], "there is no column none"),
        (["--flag-rate", "0.1", "--attribute", "INSULT"], "no text has a score of INSULT"),
    ],
)
def test_what_cannot_be_done_is_said(run: Any, options: list[str], says: str) -> None:
    result = run(ROWS, *options)
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.replace("│", "").split())


def test_a_score_of_perspective_that_is_none_is_refused_with_its_line(run: Any) -> None:
    rows = [{"text": "text 0.5", "language": "en", "their_score": "high"}]
    result = run(rows, "--perspective", "their_score")
    assert result.exit_code == 2
    assert "line 2, column their_score: no number from 0 to 1" in " ".join(
        result.stderr.replace("│", "").split()
    )
