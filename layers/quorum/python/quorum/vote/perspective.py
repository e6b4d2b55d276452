"""The form of the Perspective API: its requests and its answers. Pure.

Format: the discovery document of `commentanalyzer` v1alpha1, and Perspective's documentation,
"Methods" (conversationai/perspectiveapi, `2-api/methods.md`). Names may be written as
`requestedAttributes` or as `requested_attributes`, and null means that a field is not given, as in
all of Google's JSON. Added is `quorum` in the answer: what that form has no word for.

A score is never invented: an attribute that no voter on the panel scores, in the text's
language, is refused with Perspective's own error, or left out if the caller wants that.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from quorum.core.errors import InvalidRequest, VotersUnavailable
from quorum.core.fields import whole
from quorum.core.json_types import PROTO_NUMBER, PROTO_WHOLE_NUMBER
from quorum.core.models import (
    Attribute,
    Content,
    Decision,
    Disposition,
    Dollars,
    Frozen,
    Probability,
    Verdict,
    is_none,
)
from quorum.core.normalise import normalise
from quorum.vote.attributes import may_come, pooled
from quorum.vote.language import detect, is_written_in_latin_letters
from quorum.vote.panel import Panel
from quorum.vote.policy import Policy
from quorum.vote.sentences import Span, units
from quorum.vote.size import too_large

TEXT_BYTES = 20_480
"""Bytes (UTF-8) of a comment's text."""
CONTEXT_BYTES = 1_048_576
"""Bytes (UTF-8) of one text of a context."""
SPANS_LIMIT = 20
"""Spans of one text that are judged by themselves. Of more sentences, neighbours are joined."""
_ENTRIES_LIMIT = 100
_ATTRIBUTES_LIMIT = 100
_LANGUAGES_LIMIT = 20
_TOKEN_LIMIT = 1_024
_SPANS_LIMIT = 1_000
_HALF = 0.5
_SHOWN = 64
"""Characters that are repeated of an attribute's name: a caller may send a name of any length."""

EXPERIMENTAL = "_EXPERIMENTAL"
SERVED: Mapping[str, Attribute] = MappingProxyType(
    {f"{one.name}{ending}": one for one in Attribute for ending in ("", EXPERIMENTAL)}
)
"""Perspective's names of the attributes that Quorum's voters may give."""
NOT_SERVED = frozenset(
    {
        *("FLIRTATION", "TOXICITY_FAST", "ATTACK_ON_AUTHOR", "ATTACK_ON_COMMENTER", "INCOHERENT"),
        *("INFLAMMATORY", "LIKELY_TO_REJECT", "OBSCENE", "SPAM", "UNSUBSTANTIAL"),
        *("AFFINITY_EXPERIMENTAL", "COMPASSION_EXPERIMENTAL", "CONSTRUCTIVE_EXPERIMENTAL"),
        *("CURIOSITY_EXPERIMENTAL", "NUANCE_EXPERIMENTAL", "PERSONAL_STORY_EXPERIMENTAL"),
        *("REASONING_EXPERIMENTAL", "RESPECT_EXPERIMENTAL", "ALIENATION_EXPERIMENTAL"),
        *("FEARMONGERING_EXPERIMENTAL", "GENERALIZATION_EXPERIMENTAL"),
        *("MORAL_OUTRAGE_EXPERIMENTAL", "SCAPEGOATING_EXPERIMENTAL", "POWER_APPEAL_EXPERIMENTAL"),
    }
)
"""Perspective's other attributes: no voter knows them in any language."""
_VERSION = re.compile(r"@[0-9]+\Z")
STATUSES: Mapping[str, Decision] = MappingProxyType(
    {
        **dict.fromkeys(("APPROVED", "HIGHLIGHTED"), Decision.SAFE),
        **dict.fromkeys(("DELETED", "REJECTED"), Decision.UNSAFE),
    }
)
"""What Coral suggests in the place of attributes: the status that moderators gave a comment."""


class Refusal(StrEnum):
    """The code of an error that Perspective has a name of its own for: the name in capitals."""

    COMMENT_EMPTY = "comment_empty"
    COMMENT_TOO_LONG = "comment_too_long"
    LANGUAGE_NOT_SUPPORTED = "language_not_supported_by_attribute"
    LANGUAGE_DETECTION_FAILED = "language_detection_failed"
    NO_REQUESTED_ATTRIBUTES = "no_requested_attributes"


class _Message(Frozen):
    """A message as Google's JSON has it."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {name: value for name, value in given.items() if value is not None}


def _only(served: str, unset: str) -> Any:
    """A validator that takes `served`, and `unset`, which is the same as leaving it out."""

    def check(value: Any) -> Any:
        if value in (served, unset):
            return served
        raise PydanticCustomError("not_served", "only {expected} is served", {"expected": served})

    return BeforeValidator(check)


TextType = Annotated[Literal["PLAIN_TEXT"], _only("PLAIN_TEXT", "TEXT_TYPE_UNSPECIFIED")]
ScoreType = Annotated[Literal["PROBABILITY"], _only("PROBABILITY", "SCORE_TYPE_UNSPECIFIED")]
_Token = Annotated[str, StringConstraints(max_length=_TOKEN_LIMIT), BeforeValidator(whole)]
"""A text of the caller's own, which means nothing here."""
_Language = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8})*$", max_length=35)
]
_AttributeName = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class Comment(_Message):
    """The text to be judged."""

    text: Annotated[str, BeforeValidator(whole)] = ""
    type: TextType = "PLAIN_TEXT"


def _not_too_long(text: str) -> str:
    if len(text.encode()) > CONTEXT_BYTES:
        raise PydanticCustomError(
            "too_large",
            "must have at most {limit} bytes",
            {"limit": CONTEXT_BYTES},
        )
    return text


class ContextEntry(_Message):
    """A text that a comment belongs to. It is not used, as in the Perspective API."""

    text: Annotated[str, BeforeValidator(whole), AfterValidator(_not_too_long)] = ""
    type: Literal["PLAIN_TEXT", "HTML", "TEXT_TYPE_UNSPECIFIED"] = "PLAIN_TEXT"


class ArticleAndParentComment(_Message):
    """The article, and the comment that is answered."""

    article: ContextEntry | None = None
    parent_comment: ContextEntry | None = None


class CommentContext(_Message):
    """The context of a comment, in one of two forms. It is not used."""

    entries: Annotated[tuple[ContextEntry, ...], Field(max_length=_ENTRIES_LIMIT)] = ()
    article_and_parent_comment: ArticleAndParentComment | None = None

    @model_validator(mode="after")
    def _in_one_form(self) -> Self:
        if self.entries and self.article_and_parent_comment is not None:
            raise PydanticCustomError(
                "two_forms", "give either entries or articleAndParentComment, not both"
            )
        return self


class AttributeParameters(_Message):
    """How an attribute is wanted: a score below `scoreThreshold` is left out."""

    score_type: ScoreType = "PROBABILITY"
    score_threshold: Annotated[float, Field(ge=0, le=1), PROTO_NUMBER] | None = None


def _given(value: Any) -> Any:
    """`value`; null is what R and others send for an attribute without parameters."""
    return {} if value is None else value


class _Request(_Message):
    """The fields that both methods have."""

    comment: Comment
    context: CommentContext | None = None
    languages: Annotated[tuple[_Language, ...], Field(max_length=_LANGUAGES_LIMIT)] = ()
    client_token: _Token | None = None
    session_id: _Token | None = None
    community_id: _Token | None = None

    def content(self) -> Content:
        """The content to be judged, in the language of the request or the one detected.

        Of several languages it is the detected one, else the first. Raises `InvalidRequest`, with
        Perspective's code, for a text that is empty or too long.
        """
        text = self.comment.text
        size = len(text.encode())
        if size > TEXT_BYTES:
            raise _too_long(f"comment.text has {size} bytes", TEXT_BYTES)
        if not normalise(text).text:
            raise InvalidRequest(
                "Comment must be non-empty.", code=Refusal.COMMENT_EMPTY, field="comment.text"
            )
        broken = too_large(text)
        if broken is not None:
            raise _too_long(f"comment.text {broken.message}", broken.limit)
        return Content(text=text, language=self._language(text))

    def detected(self) -> tuple[str, ...]:
        """The language that the text is written in; none where it cannot be told."""
        found = detect(normalise(self.comment.text).text)
        return () if found is None else (found,)

    def _language(self, text: str) -> str | None:
        told = [re.split("[-_]", tag)[0].lower() for tag in self.languages]
        if len(told) > 1 and (found := detect(normalise(text).text)) in told:
            return found
        return told[0] if told else None


class AnalyzeCommentRequest(_Request):
    """The body of `POST /v1alpha1/comments:analyze`.

    With `doNotStore` nothing of the comment is kept. `sessionId`, `communityId` and `context` are
    not used.
    """

    requested_attributes: Annotated[
        dict[_AttributeName, Annotated[AttributeParameters, BeforeValidator(_given)]],
        Field(max_length=_ATTRIBUTES_LIMIT),
    ] = Field(default_factory=dict)
    do_not_store: StrictBool = False
    span_annotations: StrictBool = False
    drop_unsupported_attributes: StrictBool = False

    def served(self) -> dict[str, Attribute]:
        """The wanted attributes that a voter may give, by the name that the caller used.

        Raises `InvalidRequest` if there is none, for one that Perspective does not know, and for
        one that no voter knows in any language, unless those are to be left out.
        """
        if not self.requested_attributes:
            raise InvalidRequest(
                "Missing requested_attributes",
                code=Refusal.NO_REQUESTED_ATTRIBUTES,
                field="requestedAttributes",
            )
        asked = {name: _without_version(name) for name in self.requested_attributes}
        for name in asked:
            if not _is_known(name):
                raise _unknown(name, "requestedAttributes")
        never = [name for name, one in asked.items() if one in NOT_SERVED]
        if never and not self.drop_unsupported_attributes:
            raise _not_supported(never, self.languages, self.detected())
        found = {name: attribute_of(name) for name in asked}
        return {name: one for name, one in found.items() if one is not None}

    def require_script(self, served: Iterable[str]) -> None:
        """Raise `InvalidRequest` for a language in letters that no voter reads it in.

        That is one written in Latin letters, such as `hi-Latn`, which otherwise is not.
        """
        for tag in self.languages:
            language, *parts = re.split("[-_]", tag.lower())
            if "latn" in parts and not is_written_in_latin_letters(language):
                names = list(served)
                if names:
                    raise _not_supported(names, self.languages, (), may_drop=False)


def attribute_of(name: str) -> Attribute | None:
    """The attribute that Perspective calls so, also with a version; None if no voter gives it."""
    return SERVED.get(_without_version(name))


def _without_version(name: str) -> str:
    """The attribute's name without the version of a model, as in `TOXICITY@6`: there is one."""
    return _VERSION.sub("", name)


def _is_known(name: str) -> bool:
    attribute = _without_version(name)
    return attribute in SERVED or attribute in NOT_SERVED


def _too_long(why: str, limit: int) -> InvalidRequest:
    return InvalidRequest(
        f"Comment text too long. {why}",
        code=Refusal.COMMENT_TOO_LONG,
        field="comment.text",
        limit=limit,
    )


def _unknown(name: str, field: str) -> InvalidRequest:
    return InvalidRequest(f"Unknown requested attribute: {_shown(name)}", field=field)


def _shown(name: str) -> str:
    short = name if len(name) <= _SHOWN else f"{name[:_SHOWN]}…"
    return short.encode(errors="replace").decode()


def _not_supported(
    attributes: Sequence[str],
    requested: Sequence[str],
    detected: Sequence[str],
    *,
    may_drop: bool = True,
) -> InvalidRequest:
    """The error about attributes that are not served, and what to do where they may be dropped.

    It is about the first, and begins as Perspective's: clients read it word by word.
    """
    first, *others = attributes
    languages = ", ".join(requested or detected)
    said = [f"Attribute {first} does not support request languages: {languages}"]
    if others:
        said.append(f"Nor do: {', '.join(others)}")
    if may_drop:
        said.append(f"dropUnsupportedAttributes: true leaves {'them' if others else 'it'} out")
    return InvalidRequest(
        ". ".join(said),
        code=Refusal.LANGUAGE_NOT_SUPPORTED,
        field=f"requestedAttributes.{first}",
        limit={
            "requestedLanguages": list(requested),
            "detectedLanguages": list(detected),
            "unsupportedAttributes": list(attributes),
        },
    )


class SuggestedScore(_Message):
    """A suggested score, 0 to 1."""

    value: Annotated[float, Field(ge=0, le=1), PROTO_NUMBER]
    type: ScoreType = "PROBABILITY"


class SuggestedSpan(_Message):
    """A suggested score of a part of the text, in UTF-16 code units."""

    begin: Annotated[int, Field(ge=0), PROTO_WHOLE_NUMBER]
    end: Annotated[int, Field(ge=0), PROTO_WHOLE_NUMBER]
    score: SuggestedScore


class SuggestedScores(_Message):
    """The suggested scores of one attribute: of the whole text, or of its parts."""

    summary_score: SuggestedScore | None = None
    span_scores: Annotated[tuple[SuggestedSpan, ...], Field(max_length=_SPANS_LIMIT)] = ()

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.summary_score is None and not self.span_scores:
            raise PydanticCustomError("no_score", "give a summaryScore or spanScores")
        return self

    @property
    def score(self) -> float:
        """The score of the whole text, else the highest of its parts."""
        if self.summary_score is not None:
            return self.summary_score.value
        return max(span.score.value for span in self.span_scores)


class SuggestCommentScoreRequest(_Request):
    """The body of `POST /v1alpha1/comments:suggestscore`: what the scores should have been."""

    attribute_scores: Annotated[
        dict[_AttributeName, SuggestedScores], Field(min_length=1, max_length=_ATTRIBUTES_LIMIT)
    ]

    def scores(self) -> dict[str, float]:
        """The suggested score of each attribute or status.

        Raises `InvalidRequest` for an attribute that Perspective does not know, and for a status
        that the comment is said not to have: that suggests nothing.
        """
        scores = {name: scores.score for name, scores in self.attribute_scores.items()}
        for name, score in scores.items():
            if name in STATUSES:
                if score < _HALF:
                    raise InvalidRequest(
                        f"{name} is a status: give the one that the comment has, with the value 1",
                        field=f"attributeScores.{name}",
                    )
            elif not _is_known(name):
                raise _unknown(name, "attributeScores")
        return scores

    def decision(self) -> Decision:
        """The decision that the scores suggest: unsafe where one that says so reaches a half."""
        suggested = {
            STATUSES.get(name, Decision.UNSAFE)
            for name, score in self.scores().items()
            if score >= _HALF
        }
        return Decision.UNSAFE if Decision.UNSAFE in suggested else Decision.SAFE


class SuggestCommentScoreResponse(_Message):
    """The receipt of a suggestion, in the form of the Perspective API."""

    client_token: str | None = Field(default=None, exclude_if=is_none)
    detected_languages: tuple[str, ...]
    requested_languages: tuple[str, ...]


class Score(_Message):
    """A score of an attribute, 0 to 1."""

    value: Probability
    type: Literal["PROBABILITY"] = "PROBABILITY"


class SpanScore(_Message):
    """The score of a part of the text: from `begin` to before `end`, in UTF-16 code units."""

    begin: int
    end: int
    score: Score


class AttributeScores(_Message):
    """The scores of one attribute: of the whole text, and of its parts."""

    summary_score: Score
    span_scores: tuple[SpanScore, ...]


class Judged(Frozen):
    """What Perspective's form has no word for: the decision, the verdict's id and the reason.

    `verdict_id` is left out where nothing was stored; `cost_usd` is what all votes cost.
    """

    decision: Decision
    action: Disposition
    verdict_id: str | None = Field(default=None, exclude_if=is_none)
    reason: str
    score: Probability
    panel: str
    cost_usd: Dollars


class AnalyzeCommentResponse(_Message):
    """The scores of a comment, in the form of the Perspective API.

    `languages` are the request's, else the language in which the comment was read.
    """

    attribute_scores: dict[str, AttributeScores]
    languages: tuple[str, ...]
    detected_languages: tuple[str, ...]
    client_token: str | None = Field(default=None, exclude_if=is_none)
    quorum: Judged


class JudgedSpan(NamedTuple):
    """A span of a text, and the verdict on it alone."""

    span: Span
    verdict: Verdict


def analysis(
    request: AnalyzeCommentRequest,
    verdict: Verdict,
    spans: Sequence[JudgedSpan],
    panel: Panel,
    policy: Policy,
) -> AnalyzeCommentResponse:
    """The answer to `request` from the verdict on its comment, and on the spans of it if wanted.

    Raises `InvalidRequest`, with Perspective's code, for an attribute that no voter scores in the
    comment's language, and `VotersUnavailable` where those who may did not answer: a span without a
    score would be taken for one without harm.
    """
    scores = pooled(policy, panel, verdict.votes)
    detected = request.detected()
    served = request.served()
    missing = {name: one for name, one in served.items() if one not in scores}
    _require_scores(missing, request, verdict)
    wanted = {name: scores[one] for name, one in served.items() if one in scores}
    of_spans = [(one.span, pooled(policy, panel, one.verdict.votes)) for one in spans]
    for one, (_, found) in zip(spans, of_spans, strict=True):
        for name in wanted:
            if served[name] not in found:
                _require_nobody_failed(served[name], one.verdict)
    whole_text = Span(0, units(request.comment.text), request.comment.text)
    return AnalyzeCommentResponse(
        attribute_scores={
            name: _scores(score, served[name], of_spans or [(whole_text, scores)])
            for name, score in wanted.items()
            if score >= _threshold(request, name)
        },
        languages=request.languages or _languages(verdict.language),
        detected_languages=detected,
        client_token=request.client_token,
        quorum=Judged(
            decision=verdict.decision,
            action=verdict.action,
            verdict_id=None if request.do_not_store else verdict.id,
            reason=verdict.reason,
            score=verdict.score,
            panel=verdict.panel,
            cost_usd=sum((one.verdict.cost_usd for one in spans), verdict.cost_usd),
        ),
    )


def _require_scores(
    missing: Mapping[str, Attribute], request: AnalyzeCommentRequest, verdict: Verdict
) -> None:
    """Raise as `analysis` unless the missing attributes may be left out, or there are none."""
    for attribute in missing.values():
        _require_nobody_failed(attribute, verdict)
    if not missing or request.drop_unsupported_attributes:
        return
    if verdict.language is None:
        raise InvalidRequest(
            "Unable to detect language",
            code=Refusal.LANGUAGE_DETECTION_FAILED,
            field="languages",
        )
    detected = request.detected() or _languages(verdict.language)
    raise _not_supported(list(missing), request.languages, detected)


def _require_nobody_failed(attribute: Attribute, verdict: Verdict) -> None:
    if may_come(attribute, verdict.votes):
        raise VotersUnavailable("no voter that may give the attribute answered")


def _languages(language: str | None) -> tuple[str, ...]:
    return () if language is None else (language,)


def _threshold(request: AnalyzeCommentRequest, name: str) -> float:
    threshold = request.requested_attributes[name].score_threshold
    return 0.0 if threshold is None else threshold


def _scores(
    score: float, attribute: Attribute, spans: Iterable[tuple[Span, Mapping[Attribute, float]]]
) -> AttributeScores:
    return AttributeScores(
        summary_score=Score(value=score),
        span_scores=tuple(
            SpanScore(begin=span.begin, end=span.end, score=Score(value=found[attribute]))
            for span, found in spans
            if attribute in found
        ),
    )
