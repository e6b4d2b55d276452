from pathlib import Path

import numpy as np

from analysis import embedded_votes, recorded
from analysis.recorded import Recorded

VOTES = Path(__file__).parent / "golden" / "votes.csv"


def test_rows_without_texts_get_no_embedded_votes() -> None:
    rows = recorded.read(VOTES)
    blank = Recorded(
        rows.languages,
        ("",) * len(rows),
        rows.gold,
        rows.voters,
        rows.decisions,
        rows.confidences,
    )
    assert embedded_votes.available(blank) == ()


def test_embedded_voters_vote_on_the_texts_of_rows_that_lack_their_column() -> None:
    rows = recorded.read(VOTES)
    assert "characters" in embedded_votes.available(rows)
    more = embedded_votes.added(rows, ["characters"])
    assert more.voters == (*rows.voters, "characters")
    assert (more.decisions[:, -1] > 0).all()
    assert not np.isnan(more.confidences[:, -1]).any()
    assert embedded_votes.available(more) == tuple(
        name for name in embedded_votes.available(rows) if name != "characters"
    )
