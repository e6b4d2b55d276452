"""Panels as data: voters, rounds, rule, thresholds. An invalid one is refused with its field named.

Pure. A panel is a small JSON document; `quorum calibrate` writes one from labelled votes, and the
packaged ones are in `panels/` beside this module. `quorum.vote.tally` defines the rules.
"""

import json
from collections.abc import Collection, Mapping
from enum import StrEnum
from functools import cache, cached_property
from hashlib import sha256
from importlib.resources import files
from itertools import combinations
from typing import Annotated, Any, Literal, NoReturn, Self

from pydantic import Field, StringConstraints, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from quorum.core import registry
from quorum.core.errors import PanelInvalid
from quorum.core.exact import whole_numbers
from quorum.core.json_names import NameRepeated, require_unrepeated
from quorum.core.models import Frozen, LanguageCode

PACKAGED = ("default", "economy", "embedded")
"""Names of the panels that come with the package."""

PACKED_MOST = 8
"""Contents of one call at most, where a panel's batches pack them."""

PolicyReference = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}(@([0-9a-f]{12}|packaged))?$")
]
"""A policy's name, or its name and version."""
VoterName = Annotated[str, StringConstraints(min_length=1, max_length=128)]
Language = Annotated[str, StringConstraints(pattern=r"^[\w-]{1,16}$")]
LogOdds = Annotated[float, Field(ge=-50.0, le=50.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Weight = Annotated[float, Field(gt=0.0)]


class Stop(StrEnum):
    """The rule by which asking ends.

    `all`: all voters are asked at once. `settled`: round by round, until no outstanding vote could
    change the verdict. `risk`: round by round, until the calibrated error is small enough.
    """

    ALL = "all"
    SETTLED = "settled"
    RISK = "risk"


class Thresholds(Frozen):
    """The scores from which a text is unsafe, and safe; in between a person decides.

    Under the weighted rule they are shares of the weight that answered; under the calibrated rule
    probabilities of unsafe, and of safe (one minus the score).
    """

    unsafe: Share
    safe: Share


class Weighted(Frozen):
    """The published rule: a vote counts its voter's weight × its confidence."""

    kind: Literal["weighted"] = "weighted"
    weights: dict[VoterName, Weight]

    @cached_property
    def whole_weights(self) -> dict[str, int]:
        """The weights in a unit in which all are whole, for exact sums."""
        return whole_numbers(self.weights)


class Majority(Frozen):
    """One voter, one vote: more than half of those who answered."""

    kind: Literal["majority"] = "majority"


class Evidence(Frozen):
    """The log-odds of unsafe that one voter's vote adds.

    `slope` × the logit of the vote's confidence is added towards the vote's side, for voters whose
    confidences are informative. An abstention adds nothing.
    """

    unsafe: Annotated[LogOdds, Field(ge=0.0)] = 0.0
    safe: Annotated[LogOdds, Field(le=0.0)] = 0.0
    needs_review: LogOdds = 0.0
    slope: Annotated[LogOdds, Field(ge=0.0)] = 0.0

    @model_validator(mode="after")
    def _asking_for_review_lies_between(self) -> Self:
        if not self.safe <= self.needs_review <= self.unsafe:
            _refuse("needs_review", "must lie between the evidence of safe and of unsafe")
        return self


class Pair(Frozen):
    """The log-odds that two voters' agreement adds: their errors are not independent.

    The signs make every calibrated panel monotone: no vote for unsafe can lower its score.
    """

    voters: tuple[VoterName, VoterName]
    unsafe: Annotated[LogOdds, Field(ge=0.0)] = 0.0
    safe: Annotated[LogOdds, Field(le=0.0)] = 0.0


class LanguageTerms(Frozen):
    """A language's own numbers, in place of the pooled ones."""

    bias: LogOdds
    evidence: dict[VoterName, Evidence] = Field(default_factory=dict)


class Stage(Frozen):
    """The log-odds of unsafe once voters up to one round have been heard.

    `bias` and `evidence` are pooled over languages; `languages` holds those with enough labels for
    numbers of their own. `evidence` names every voter of the rounds so far.
    """

    bias: LogOdds
    evidence: dict[VoterName, Evidence]
    pairs: tuple[Pair, ...] = ()
    languages: dict[Language, LanguageTerms] = Field(default_factory=dict)


class Calibrated(Frozen):
    """Log-odds of unsafe learned from labels: one stage for each round.

    Correlated voters add less together than one by one, so the evidence of a vote depends on the
    other votes: every round has numbers of its own.
    """

    kind: Literal["calibrated"] = "calibrated"
    stages: tuple[Stage, ...]


Rule = Annotated[Weighted | Majority | Calibrated, Field(discriminator="kind")]


class Estimate(Frozen):
    """A figure with its confidence interval."""

    value: float
    low: float
    high: float


class Panel(Frozen):
    """Voters, the rounds in which they are asked, and the rule that weighs their votes.

    `quorum` is the least number of votes (an abstention is none); with fewer, the verdict is
    `needs_review`. `risk` belongs to the stop rule of that name: for every round but the
    last, the calibrated probability of error at which asking ends; without it, asking ends as soon
    as the score is beyond a threshold. While a voter in `escalates` votes anything but safe, or its
    vote was lost, the panel does not say safe: a person decides. Nor does it before a voter in
    `clears` has answered, if any is named: so a panel of cheap and dear voters cannot say safe by
    its cheapest alone.
    `packed` is the number of contents that batches ask a language model about in one call.
    `thresholds_by_language` holds a language's own thresholds, in place of `thresholds`. In
    `reviewed_languages` a person decides, whatever the votes. `default_language` is that of texts
    whose language cannot be told, unless the request names one. `expected` holds the figures that
    calibration measured on unseen rows, `calibrated_under` the policy they were voted on
    under: a name and version (`gaming@3f2a9c01b7de`), or a name for all of its versions (`default`:
    whatever calls unsafe what the packaged one does).
    """

    name: Annotated[str, StringConstraints(pattern=r"^[\w.-]{1,64}$")]
    description: str = ""
    rounds: Annotated[
        tuple[Annotated[tuple[VoterName, ...], Field(min_length=1)], ...], Field(min_length=1)
    ]
    stop: Stop
    risk: tuple[Share, ...] | None = None
    quorum: Annotated[int, Field(ge=1)]
    thresholds: Thresholds | None = None
    thresholds_by_language: dict[Language, Thresholds] = Field(default_factory=dict)
    reviewed_languages: tuple[Language, ...] = ()
    rule: Rule
    escalates: tuple[VoterName, ...] = ()
    clears: tuple[VoterName, ...] = ()
    packed: Annotated[int, Field(ge=1, le=PACKED_MOST)] = 1
    default_language: LanguageCode | None = None
    expected: dict[str, Estimate] | None = None
    calibrated_under: PolicyReference = "default"

    @cached_property
    def voters(self) -> tuple[str, ...]:
        """All voters, in the order of asking."""
        return tuple(voter for voters in self.rounds for voter in voters)

    @cached_property
    def version(self) -> str:
        """Twelve hexadecimal digits of the hash of the panel's canonical JSON."""
        canonical = json.dumps(self.document(), sort_keys=True, separators=(",", ":"))
        return sha256(canonical.encode()).hexdigest()[:12]

    def thresholds_of(self, language: str | None) -> Thresholds | None:
        """The thresholds that hold for contents in `language`."""
        if language is None:
            return self.thresholds
        return self.thresholds_by_language.get(language, self.thresholds)

    def midpoint_of(self, language: str | None) -> float:
        """The score in the middle of the band of reviews, at which a decision is forced."""
        thresholds = self.thresholds_of(language)
        if thresholds is None:
            return 0.5
        return (thresholds.unsafe + 1 - thresholds.safe) / 2

    def document(self) -> dict[str, Any]:
        """The panel as JSON types, without defaults; `load` reads it back."""
        return self.model_dump(mode="json", exclude_defaults=True) | {
            "rule": self.rule.model_dump(mode="json", exclude_defaults=True)
            | {"kind": self.rule.kind}
        }

    @model_validator(mode="after")
    def _voters_and_rule_fit(self) -> Self:
        voters = [voter for voters in self.rounds for voter in voters]
        _rounds_fit(self, voters)
        _powers_fit(self, voters)
        match self.rule:
            case Majority():
                if self.thresholds is not None or self.thresholds_by_language:
                    _refuse("thresholds", "a majority is more than half; it takes no thresholds")
            case Weighted():
                if self.thresholds is None:
                    _refuse("thresholds", "the weighted rule needs them")
                _same_voters(self.rule.weights, voters, "rule.weights")
            case Calibrated():
                _thresholds_leave_a_band(self.thresholds, "thresholds")
                for language, thresholds in self.thresholds_by_language.items():
                    _thresholds_leave_a_band(thresholds, f"thresholds_by_language.{language}")
                _stages_fit(self.rule.stages, self.rounds)
        return self


def load(document: str | Mapping[str, Any], *, voters: Collection[str] | None = None) -> Panel:
    """The panel in `document` (JSON text or parsed); raises `PanelInvalid` naming the field.

    `voters` are the allowed names; by default those of the registry.
    """
    try:
        text = document if isinstance(document, str) else json.dumps(document)
        panel = Panel.model_validate_json(text)
        require_unrepeated(text)
    except ValidationError as refusal:
        first = refusal.errors()[0]
        path = [str(part) for part in first["loc"]]
        # Pydantic names the rule's kind in the path; the document does not have that level.
        if len(path) > 1 and path[0] == "rule":
            del path[1]
        field = first.get("ctx", {}).get("field")
        path += [field] if isinstance(field, str) else []
        raise PanelInvalid(first["msg"], path=".".join(path) or "panel") from None
    except NameRepeated as refusal:
        raise PanelInvalid("stands twice in one object", path=refusal.name) from None
    except (TypeError, ValueError) as refusal:
        raise PanelInvalid(f"is not JSON: {refusal}", path="panel") from None
    known = {model.name for model in registry.voters()} if voters is None else voters
    for number, asked in enumerate(panel.rounds):
        for position, voter in enumerate(asked):
            if voter not in known:
                raise PanelInvalid(
                    f"{voter} is not a known voter; known voters: {', '.join(sorted(known))}",
                    path=f"rounds.{number}.{position}",
                )
    return panel


@cache
def packaged(name: str) -> Panel:
    """The packaged panel of that name; raises `PanelInvalid`."""
    if name not in PACKAGED:
        raise PanelInvalid(
            f"no packaged panel {name!r}; there are {', '.join(PACKAGED)}", path="name"
        )
    return load((files("quorum.vote") / "panels" / f"{name}.json").read_text(encoding="utf-8"))


def _refuse(field: str, message: str) -> NoReturn:
    raise PydanticCustomError("panel_invalid", "{message}", {"field": field, "message": message})


def _same_voters(named: Collection[str], voters: Collection[str], field: str) -> None:
    for voter in voters:
        if voter not in named:
            _refuse(f"{field}.{voter}", "is missing")
    for voter in named:
        if voter not in voters:
            _refuse(f"{field}.{voter}", "is not in these rounds")


def _rounds_fit(panel: Panel, voters: list[str]) -> None:
    for voter in voters:
        if voters.count(voter) > 1:
            _refuse("rounds", f"{voter} is named twice")
    if panel.quorum > len(voters):
        _refuse("quorum", f"is {panel.quorum}, but the panel has only {len(voters)} voters")
    if panel.stop is Stop.RISK and not isinstance(panel.rule, Calibrated):
        _refuse("stop", "risk needs the calibrated rule: other scores are no probabilities")
    if panel.stop is not Stop.RISK and panel.risk is not None:
        _refuse("risk", "goes with the stop rule risk only")
    if panel.risk is not None and len(panel.risk) != len(panel.rounds) - 1:
        _refuse("risk", f"needs one bound for each of the {len(panel.rounds) - 1} first rounds")


def _powers_fit(panel: Panel, voters: list[str]) -> None:
    for field, named in (("escalates", panel.escalates), ("clears", panel.clears)):
        for voter in named:
            if voter not in voters:
                _refuse(field, f"{voter} is not in these rounds")
    for language in panel.reviewed_languages:
        if language in panel.thresholds_by_language:
            _refuse(f"thresholds_by_language.{language}", "a person decides in this language")


def _thresholds_leave_a_band(thresholds: Thresholds | None, field: str) -> None:
    if thresholds is None:
        _refuse(field, "the calibrated rule needs them")
    for name, threshold in (("unsafe", thresholds.unsafe), ("safe", thresholds.safe)):
        if not 0 < threshold < 1:
            _refuse(f"{field}.{name}", "must lie between 0 and 1: no probability reaches them")
    if thresholds.unsafe + thresholds.safe < 1:
        _refuse(field, "overlap: unsafe + safe must be at least 1")


def _stages_fit(stages: tuple[Stage, ...], rounds: tuple[tuple[str, ...], ...]) -> None:
    if len(stages) != len(rounds):
        _refuse("rule.stages", f"needs one stage for each of the {len(rounds)} rounds")
    heard: list[str] = []
    for number, (voters, stage) in enumerate(zip(rounds, stages, strict=True)):
        heard += voters
        field = f"rule.stages.{number}"
        _same_voters(stage.evidence, heard, f"{field}.evidence")
        for language, terms in stage.languages.items():
            for voter in terms.evidence.keys() - set(heard):
                _refuse(f"{field}.languages.{language}.evidence.{voter}", "is not in these rounds")
        known = {frozenset(pair) for pair in combinations(heard, 2)}
        for position, pair in enumerate(stage.pairs):
            if frozenset(pair.voters) not in known:
                _refuse(
                    f"{field}.pairs.{position}.voters", "are not two voters of these rounds, once"
                )
            known.discard(frozenset(pair.voters))
