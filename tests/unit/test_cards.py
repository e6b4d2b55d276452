"""Model cards: what share-alike sources are worth is told of the same rows."""

import csv
from pathlib import Path

from bench import cards

VOTERS = tuple(cards.versions())


def written(path: Path, *, right: bool, more: bool) -> Path:
    """Votes on 60 safe and 60 unsafe rows of a source, right or wrong, and on others if `more`."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        named = [name for voter in VOTERS for name in (voter, f"{voter}.confidence")]
        writer.writerow(["language", "text", "gold", "source", *named])
        for number in range(120 + 80 * more):
            gold, other = ("safe", "unsafe") if number % 2 else ("unsafe", "safe")
            vote = gold if right or number >= 120 else other
            cells = [cell for _ in VOTERS for cell in (vote, "0.9")]
            writer.writerow(["de", f"text {number}", gold, "gahd", *cells])
    return path


def test_share_alike_sources_are_judged_by_the_rows_of_both_runs(tmp_path: Path) -> None:
    with_them = written(tmp_path / "with.csv", right=True, more=True)
    without = written(tmp_path / "without.csv", right=False, more=False)
    found = cards.share_alike(with_them, without)
    for voter in VOTERS:
        assert found["with"][voter] == {"unseen source": 1.0}
        assert found["without"][voter] == {"unseen source": 0.5}
    table = cards.share_alike_table(found)
    assert f"| {VOTERS[0]} | – | – | 1.000 | 0.500 |" in table
