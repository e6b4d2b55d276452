"""The calls of a verdict, counted on recorded votes."""

import json
from decimal import Decimal
from pathlib import Path

from quorum.vote.panel import PACKAGED, packaged

from analysis.cost_model import Calls
from analysis.recorded import read
from bench.asked import counted, counts

VOTES = """language,text,gold,gpt-4.1,gemini-2.5-flash,deepseek-v3.2
en,one,safe,safe,safe,safe
en,two,unsafe,unsafe,unsafe,unsafe
en,three,unsafe,unsafe,safe,unsafe
de,four,safe,safe,safe,unsafe
"""


def test_a_voter_is_counted_where_it_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    path.write_text(VOTES, encoding="utf-8")
    calls, rounds = counted(packaged("default"), read(path))
    assert calls == {
        "gemini-2.5-flash": Decimal(1),
        "deepseek-v3.2": Decimal(1),
        "gpt-4.1": Decimal("0.5"),
    }
    assert rounds == Decimal("1.5")


def test_what_is_written_is_what_the_cost_model_reads(tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    header, *rows = VOTES.splitlines()
    others = [voter for voter in packaged("economy").voters if voter not in header.split(",")]
    header = ",".join([header, *others])
    path.write_text("\n".join([header, *(row + ",safe" * len(others) for row in rows)]))
    found = Calls.model_validate_json(json.dumps(counts(read(path)), default=str))
    assert found.asked.keys() == {*PACKAGED, "gpt-4.1 alone"}
    assert found.asked["economy"]["risk"]["gpt-4.1-nano"] == 1
