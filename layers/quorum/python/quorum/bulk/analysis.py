"""One comment and its sentences, judged at the same time for their attributes' scores."""

from typing import TYPE_CHECKING
from uuid import uuid4

from quorum.core.normalise import normalise
from quorum.vote.perspective import (
    SPANS_LIMIT,
    AnalyzeCommentRequest,
    AnalyzeCommentResponse,
    JudgedSpan,
    analysis,
)
from quorum.vote.sentences import spans

if TYPE_CHECKING:
    from quorum.bulk.concurrent import ConcurrentModeration
    from quorum.gateway.deadline import Deadline
    from quorum.vote.panel import Panel
    from quorum.vote.policy import Policy
    from quorum.vote.sentences import Span
    from quorum.vote.workflow import Workflow


class CommentAnalysis:
    """Judges a comment as a whole, and each of its spans alone if the caller wants that."""

    def __init__(self, workflow: "Workflow", moderation: "ConcurrentModeration") -> None:
        self._workflow = workflow
        self._moderation = moderation

    def analyze(
        self,
        tenant: str,
        request: AnalyzeCommentRequest,
        panel: "Panel",
        policy: "Policy",
        deadline: "Deadline",
    ) -> AnalyzeCommentResponse:
        """The scores of the comment's attributes; its verdict is stored, those on spans are not.

        Of a comment that must not be stored nothing is kept. Raises `InvalidRequest` and
        `VotersUnavailable` as `quorum.vote.perspective.analysis`, and as
        `ConcurrentModeration.moderate_all`.
        """
        content = request.content()
        request.require_script(request.served())
        whole = self._workflow.open(tenant, content, panel, policy, uuid4().hex)
        if request.do_not_store:
            whole = whole.model_copy(update={"is_trial": True, "keeps_votes": False})
        # A span is read in the comment's language: a few words show too little of their own.
        evaluations = {
            span: whole.model_copy(
                update={
                    "verdict_id": uuid4().hex,
                    "is_trial": True,
                    "content": whole.content.model_copy(update={"text": span.text}),
                }
            )
            for span in _spans(request)
        }
        verdicts = self._moderation.judge_all(
            [whole, *evaluations.values()], deadline, with_votes=True
        )
        judged = [
            JudgedSpan(span, verdicts[evaluation.verdict_id])
            for span, evaluation in evaluations.items()
        ]
        return analysis(request, verdicts[whole.verdict_id], judged, panel, policy)


def _spans(request: AnalyzeCommentRequest) -> "list[Span]":
    """The spans to be judged alone; none of a text that is one sentence."""
    if not request.span_annotations:
        return []
    found = [span for span in spans(request.comment.text, SPANS_LIMIT) if normalise(span.text).text]
    return found if len(found) > 1 else []
