"""Reasons of verdicts in Korean, where the service wrote them. Pure.

The tally writes a reason of clauses (`quorum.vote.tally`). A reason is told in Korean only if each
of its clauses is known; what a policy, a model or a person wrote stays as it is.
"""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from quorum.console.words import Language, named

_DECISIONS: Mapping[str, str] = {"safe": "안전", "unsafe": "위험", "needs_review": "검토 필요"}
_SHARES: Mapping[str, str] = {"safe": "안전", "unsafe": "위험", "needs review": "검토 필요"}
_NAMES = r"[\w.:/@-]+(?:(?:, | and | or )[\w.:/@-]+)*"
_COUNT = r"\d+ (?:safe|unsafe|needs review)"
_FLAGGED = r"[\w/-]+ \d\S* ≥ \d[^\s,]*"
"""A flagged category of a policy, its score and its threshold."""
_BUT = ", but "


class Told(NamedTuple):
    """A reason, and the language that it is in."""

    text: str
    language: Language


def told(reason: str, language: Language) -> Told:
    """The reason in that language, or in English where it has no words for it."""
    if language == "ko":
        parts = [_clause(part) for clause in reason.split("; ") for part in clause.split(_BUT)]
        if all(parts):
            return Told(". ".join(filter(None, parts)), "ko")
    return Told(reason, "en")


def _clause(clause: str) -> str | None:
    """The clause in Korean; None if it is not one of the tally's."""
    for pattern, write in _CLAUSES.items():
        found = re.fullmatch(pattern, clause)
        if found is not None:
            return write(found)
    return None


def _names(listed: str) -> str:
    return listed.replace(" and ", ", ").replace(" or ", " 또는 ")


def _counts(listed: str) -> str:
    """`1 unsafe, 2 safe` in Korean."""
    counted = (one.split(" ", 1) for one in listed.split(", "))
    return ", ".join(f"{_SHARES[said]} {number}표" for number, said in counted)


def _comparison(written: str) -> str:
    """What is within the brackets behind a decision."""
    between = re.fullmatch(r"score (\S+), between (\S+) and (\S+)", written)
    if between is not None:
        return f"점수 {between[1]}, 기준 {between[2]}~{between[3]} 사이"
    return written.replace("safe score", "안전 점수").replace("score", "점수")


def _categories(found: re.Match[str]) -> str:
    """`hate 0.97 ≥ 0.50` with the category in Korean, also several of them."""
    listed = (one.split(" ", 1) for one in found[0].split(", "))
    return ", ".join(f"{named('ko', 'category', name)} {rest}" for name, rest in listed)


_CLAUSES: Mapping[str, Callable[[re.Match[str]], str]] = {
    r"no votes yet": lambda _: "아직 투표가 없습니다",
    r"(\d+) of (\d+) voters says? (safe|unsafe|needs_review) \((.+)\)": lambda one: (
        f"투표 {one[2]}개 중 {one[1]}개가 {_DECISIONS[one[3]]} ({_comparison(one[4])})"
    ),
    rf"the votes do not decide: ({_COUNT}(?:, {_COUNT})*) \((.+)\)": lambda one: (
        f"투표로 결정되지 않았습니다: {_counts(one[1])} ({_comparison(one[2])})"
    ),
    rf"{_FLAGGED}(?:, {_FLAGGED})*": _categories,
    rf"({_NAMES}) asks for a person": lambda one: f"사람의 검토 요청: {_names(one[1])}",
    rf"the vote of ({_NAMES}) was lost": lambda one: f"투표를 받지 못했습니다: {_names(one[1])}",
    r"this panel leaves (\w+) to a person": lambda one: (
        f"이 패널은 해당 언어({one[1]})의 판정을 사람에게 맡깁니다"
    ),
    rf"safe needs an answer of ({_NAMES})": lambda one: (
        f"안전 판정에 필요한 응답이 없습니다: {_names(one[1])}"
    ),
    r"only (\d+) of (\d+) answered": lambda one: f"투표 {one[2]}개 중 {one[1]}개만 응답했습니다",
    r"the quorum is (\d+)": lambda one: f"정족수 {one[1]}",
    rf"concluded without ({_NAMES})": lambda one: f"응답 없이 종료: {_names(one[1])}",
    r"the quorum cannot be met any more": lambda _: "정족수를 채울 수 없습니다",
    rf"no vote of ({_NAMES}) could change it": lambda one: (
        f"남은 투표로 결과가 바뀌지 않습니다: {_names(one[1])}"
    ),
    rf"sure enough without ({_NAMES})(?: \(risk (.+)\))?": lambda one: (
        f"더 묻지 않아도 충분히 확실합니다: {_names(one[1])}"
        + (f" (오류 확률 {one[2]})" if one[2] else "")
    ),
    rf"next to vote: ({_NAMES})": lambda one: f"다음 투표: {_names(one[1])}",
}
"""The clauses of the tally as patterns, and what they are in Korean."""
