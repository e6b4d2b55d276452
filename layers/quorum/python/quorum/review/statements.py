"""The statement of reasons that a platform owes the author of a restricted content. Pure.

It has what Article 17(3) of the EU's Digital Services Act (Regulation (EU) 2022/2065) asks for: the
measure, the facts, the use of automated means, the ground, and redress. The record beside it has
the form of the EU's transparency database (digital-services-act/transparency-database,
StatementStoreRequest.php). Nothing of the content, its author or its reviewer is in either.
"""

import re
from datetime import date, datetime
from typing import Literal, NamedTuple

from pydantic import Field

from quorum.core.errors import Conflict
from quorum.core.models import Decision, Disposition, Frozen, Review, Verdict, is_none
from quorum.review.statement_texts import (
    SENTENCES,
    Measure,
    Sentences,
    Source,
    StatementLanguage,
)

GROUND_LIMIT = 500
"""Characters of a ground in the transparency database."""
PUID_LIMIT = 500
"""Characters of a platform's own id there."""

_VISIBILITY: dict[Measure, str] = {
    "removed": "DECISION_VISIBILITY_CONTENT_REMOVED",
    "disabled": "DECISION_VISIBILITY_CONTENT_DISABLED",
    "demoted": "DECISION_VISIBILITY_CONTENT_DEMOTED",
    "age_restricted": "DECISION_VISIBILITY_CONTENT_AGE_RESTRICTED",
    "interaction_restricted": "DECISION_VISIBILITY_CONTENT_INTERACTION_RESTRICTED",
    "labelled": "DECISION_VISIBILITY_CONTENT_LABELLED",
}
_SOURCES: dict[Source, str] = {
    "voluntary": "SOURCE_VOLUNTARY",
    "article_16": "SOURCE_ARTICLE_16",
    "trusted_flagger": "SOURCE_TRUSTED_FLAGGER",
    "other_notification": "SOURCE_TYPE_OTHER_NOTIFICATION",
}


class _Kind(NamedTuple):
    """The category of the transparency database, and its keyword if one fits."""

    category: str
    keyword: str | None = None


_OTHER = _Kind("STATEMENT_CATEGORY_OTHER_VIOLATION_TC")
_KINDS: dict[str, _Kind] = {
    "sexual/minors": _Kind(
        "STATEMENT_CATEGORY_PROTECTION_OF_MINORS", "KEYWORD_CHILD_SEXUAL_ABUSE_MATERIAL"
    ),
    "self-harm/instructions": _Kind("STATEMENT_CATEGORY_SELF_HARM", "KEYWORD_SUICIDE"),
    "self-harm/intent": _Kind("STATEMENT_CATEGORY_SELF_HARM", "KEYWORD_SUICIDE"),
    "self-harm": _Kind("STATEMENT_CATEGORY_SELF_HARM", "KEYWORD_SELF_MUTILATION"),
    "hate/threatening": _Kind(
        "STATEMENT_CATEGORY_ILLEGAL_OR_HARMFUL_SPEECH", "KEYWORD_INCITEMENT_VIOLENCE_HATRED"
    ),
    "hate": _Kind("STATEMENT_CATEGORY_ILLEGAL_OR_HARMFUL_SPEECH", "KEYWORD_HATE_SPEECH"),
    "harassment/threatening": _Kind(
        "STATEMENT_CATEGORY_CYBER_VIOLENCE", "KEYWORD_CYBER_HARASSMENT"
    ),
    "harassment": _Kind("STATEMENT_CATEGORY_CYBER_VIOLENCE", "KEYWORD_CYBER_BULLYING_INTIMIDATION"),
    "illicit/violent": _Kind("STATEMENT_CATEGORY_RISK_FOR_PUBLIC_SECURITY"),
    "illicit": _OTHER,
    "violence/graphic": _Kind("STATEMENT_CATEGORY_VIOLENCE"),
    "violence": _Kind("STATEMENT_CATEGORY_VIOLENCE"),
    "sexual": _Kind("STATEMENT_CATEGORY_OTHER_VIOLATION_TC", "KEYWORD_ADULT_SEXUAL_MATERIAL"),
}
"""By our category, the gravest first: the first one that applies is the record's category."""

Automation = Literal[
    "AUTOMATED_DECISION_FULLY", "AUTOMATED_DECISION_PARTIALLY", "AUTOMATED_DECISION_NOT_AUTOMATED"
]


class TransparencyRecord(Frozen):
    """A statement in the form of the EU's transparency database: the body of its `statement`."""

    decision_visibility: tuple[str, ...]
    decision_ground: Literal["DECISION_GROUND_INCOMPATIBLE_CONTENT"]
    incompatible_content_ground: str = Field(max_length=GROUND_LIMIT)
    incompatible_content_explanation: str
    content_type: tuple[Literal["CONTENT_TYPE_TEXT"], ...] = ("CONTENT_TYPE_TEXT",)
    category: str
    category_addition: tuple[str, ...] = ()
    category_specification: tuple[str, ...] = ()
    content_date: date
    application_date: date
    decision_facts: str
    source_type: str
    automated_detection: Literal["Yes", "No"]
    automated_decision: Automation
    puid: str = Field(max_length=PUID_LIMIT, pattern=r"^[a-zA-Z0-9_-]+$")
    territorial_scope: tuple[str, ...] | None = Field(default=None, exclude_if=is_none)
    content_language: str | None = Field(default=None, exclude_if=is_none)


class Statement(Frozen):
    """A statement of reasons: its parts, as sentences for the author, and all of them as a text."""

    verdict_id: str
    language: StatementLanguage
    title: str
    measure: str
    facts: str
    automated_means: str
    ground: str
    redress: str
    text: str
    decided_at: datetime
    transparency_database: TransparencyRecord


class StatementOptions(NamedTuple):
    """What only the platform knows: what it did, why it looked, and where it applies."""

    language: StatementLanguage = "en"
    measure: Measure = "removed"
    source: Source = "voluntary"
    territory: tuple[str, ...] = ()


def statement_of(verdict: Verdict, options: StatementOptions) -> Statement:
    """The statement on a verdict; raises `Conflict` where the content is not restricted."""
    review = _deciding(verdict)
    _require_restricted(verdict, review)
    decided_at = verdict.created_at if review is None else review.reviewed_at
    told = _Told(SENTENCES[options.language], verdict, review, options)
    english = _Told(SENTENCES["en"], verdict, review, options)
    parts = (told.measure, told.facts(decided_at), told.means, told.ground, told.sentences.redress)
    return Statement(
        verdict_id=verdict.id,
        language=options.language,
        title=told.sentences.title,
        measure=parts[0],
        facts=parts[1],
        automated_means=parts[2],
        ground=parts[3],
        redress=parts[4],
        text="\n\n".join(parts),
        decided_at=decided_at,
        transparency_database=_record(english, decided_at),
    )


def _deciding(verdict: Verdict) -> Review | None:
    """The review that decides; None where the panel's decision stands."""
    review = verdict.review
    return None if review is None or review.decision is Decision.NEEDS_REVIEW else review


def _require_restricted(verdict: Verdict, review: Review | None) -> None:
    decision = verdict.decision if review is None else review.decision
    allowed = review is None and verdict.action is Disposition.ALLOW
    if decision is not Decision.UNSAFE or allowed:
        raise Conflict(
            f"there is no restriction to give reasons for: the decision is {decision}"
            + (", and the policy only detects" if allowed and decision is Decision.UNSAFE else ""),
            code="not_restricted",
        )


class _Told:
    """The sentences about one decision in one language."""

    def __init__(
        self,
        sentences: Sentences,
        verdict: Verdict,
        review: Review | None,
        options: StatementOptions,
    ) -> None:
        self.sentences = sentences
        self.verdict = verdict
        self.review = review
        self.options = options

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories that were found, the gravest first: the reviewer's, else the flagged."""
        named = self.review.categories if self.review is not None else ()
        flagged = [name for name, one in self.verdict.category_scores.items() if one.flagged]
        found = named or flagged
        known = [name for name in _KINDS if name in found]
        return (*known, *(name for name in found if name not in _KINDS))

    @property
    def measure(self) -> str:
        """What was done, and where."""
        said = self.sentences.measures[self.options.measure]
        if not self.options.territory:
            return said
        where = self.sentences.territory.format(territory=", ".join(self.options.territory))
        return f"{said} {where}"

    def facts(self, decided_at: datetime) -> str:
        """What led to the decision, and what was found when."""
        names = [self.sentences.categories.get(name, name) for name in self.categories]
        listed = ", ".join(names) or self.sentences.no_categories
        found = self.sentences.facts.format(date=decided_at.date().isoformat(), categories=listed)
        return f"{self.sentences.sources[self.options.source]} {found}"

    @property
    def by_person(self) -> bool:
        """Whether a person decided this content, or the same content earlier."""
        return self.review is not None or self.verdict.reused_review is not None

    @property
    def means(self) -> str:
        """The automated means that were used."""
        if self.by_person:
            decided = self.sentences.by_person
        elif self.verdict.list_hit is not None:
            decided = self.sentences.by_list
        else:
            votes = sum(vote.kind == "vote" for vote in self.verdict.votes)
            decided = self.sentences.automated.format(votes=votes)
        return f"{self.sentences.detected} {decided}"

    @property
    def ground(self) -> str:
        """The rules that the decision is based on."""
        return self.sentences.ground.format(
            policy=self.verdict.policy, version=self.verdict.policy_version
        )


def _record(told: _Told, decided_at: datetime) -> TransparencyRecord:
    """The statement for the transparency database, in English."""
    verdict, options = told.verdict, told.options
    kinds = [_KINDS.get(name, _OTHER) for name in told.categories] or [_OTHER]
    categories = list(dict.fromkeys(kind.category for kind in kinds))
    keywords = dict.fromkeys(kind.keyword for kind in kinds if kind.keyword is not None)
    language = verdict.language
    ground = f"Policy {verdict.policy}, version {verdict.policy_version}"
    if told.categories:
        ground += f": {', '.join(told.categories)}"
    return TransparencyRecord(
        decision_visibility=(_VISIBILITY[options.measure],),
        decision_ground="DECISION_GROUND_INCOMPATIBLE_CONTENT",
        incompatible_content_ground=ground[:GROUND_LIMIT],
        incompatible_content_explanation=told.ground,
        category=categories[0],
        category_addition=tuple(categories[1:]),
        category_specification=tuple(keywords),
        content_date=verdict.created_at.date(),
        application_date=decided_at.date(),
        decision_facts=f"{told.facts(decided_at)} {told.means}",
        source_type=_SOURCES[options.source],
        automated_detection="Yes",
        automated_decision="AUTOMATED_DECISION_PARTIALLY"
        if told.by_person
        else "AUTOMATED_DECISION_FULLY",
        puid=re.sub(r"[^a-zA-Z0-9_-]", "-", verdict.id),
        territorial_scope=options.territory or None,
        content_language=language.upper() if language is not None and len(language) == 2 else None,  # noqa: PLR2004 ISO 639-1
    )
