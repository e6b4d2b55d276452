"""The table of sets kept apart: what is read of them, and what is counted."""

from pathlib import Path

from quorum.core.models import Decision

from bench import kept_sets
from bench.kept_sets import Outcome, Source
from training.functional import Decided, Sentence


def test_the_texts_with_the_lowest_hash_are_taken_whatever_their_order(tmp_path: Path) -> None:
    source = Source("APEACH", "ko", "test.csv", kept_sets.generated)
    lines = [f"text {number},{'Spoiled' if number % 2 else 'Default'}" for number in range(9)]

    def taken(lines: list[str]) -> list[Sentence]:
        (tmp_path / "test.csv").write_text("\n".join(["text,class", *lines]) + "\n")
        return kept_sets.sentences(source, tmp_path, 4)

    first = taken(lines)
    assert len(first) == 4
    assert first == taken(lines[::-1])
    expected = {
        each.text: Decision.UNSAFE if int(each.text[-1]) % 2 else Decision.SAFE for each in first
    }
    assert {each.text: each.expected for each in first} == expected


def test_a_quotation_mark_in_a_tab_separated_comment_is_a_letter(tmp_path: Path) -> None:
    source = Source("news comments", "ko", "train.tsv", kept_sets.news_comment)
    (tmp_path / "train.tsv").write_text('comments\thate\n"open\thate\nnext\tnone\n')
    found = {each.text: each.expected for each in kept_sets.sentences(source, tmp_path, 9)}
    assert found == {'"open': Decision.UNSAFE, "next": Decision.SAFE}


def test_a_set_that_is_not_there_is_left_out(tmp_path: Path) -> None:
    assert list(kept_sets.outcomes(tmp_path, 9)) == []


def test_wrong_is_what_was_decided_wrongly_and_never_a_review() -> None:
    def decided(expected: Decision, decision: Decision) -> Decided:
        return Decided(Sentence("set", "en", expected, "text"), decision)

    source = Source("set", "en", "file.csv", kept_sets.prompt)
    outcome = Outcome.of(
        source,
        [
            decided(Decision.UNSAFE, Decision.SAFE),
            decided(Decision.SAFE, Decision.UNSAFE),
            decided(Decision.SAFE, Decision.UNSAFE),
            decided(Decision.SAFE, Decision.SAFE),
            decided(Decision.UNSAFE, Decision.NEEDS_REVIEW),
        ],
    )
    assert (outcome.texts, outcome.decided, outcome.passed, outcome.called) == (5, 4, 1, 2)
    shown = kept_sets.table([outcome])
    assert "| set | en | 5 | 80.0% | 60.0% | 20.0% | 40.0% |" in shown
    assert shown.endswith("0 of 1 sets.")


def test_the_page_has_the_table_and_keeps_the_rest() -> None:
    page = kept_sets.PAGE.read_text(encoding="utf-8")
    outcome = Outcome("set", "en", 100, 10, 0, 5)
    written = kept_sets.with_table(page, kept_sets.table([outcome]))
    assert "At most 5% wrong: 1 of 1 sets." in written
    assert written.split(kept_sets.HEADING)[0] == page.split(kept_sets.HEADING)[0]
    assert written.splitlines()[-1] == page.splitlines()[-1]
