"""Moderation of a chat: the prompt before it is asked, the answer while it streams.

The answer is judged by sentence: the text since the last check, with a little of the text before
it, one check at a time. Tokens do not wait for checks: an answer judged unsafe is withdrawn. A
check that fails is an objection too, and says so: text that should be judged never passes unjudged.
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from quorum.core.errors import QuorumError
from quorum.core.models import CastVote, Content, Decision, Disposition, Verdict
from quorum.core.normalise import normalise
from quorum.vote.panel import Panel
from quorum.vote.tally import quorum_of

CONTEXT_CHARACTERS = 300
"""Characters before a sentence that are judged again with it, for its context."""
CHECK_CHARACTERS = 4_000
"""Characters of unjudged text in one check at most."""
LONGEST_UNCHECKED = 600
"""Characters after which a text is judged without the end of a sentence."""
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’»)\]]*(?=\s)|[。！？｡।؟۔\n]+")

Judge = Callable[[Content], Verdict]
Why = Literal["unsafe", "needs_review", "unchecked"]


class Objection(QuorumError):
    """The reason why a text is blocked: its verdict, or that it is `unchecked`."""

    def __init__(self, why: Why, verdict: Verdict | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.verdict = verdict

    @property
    def categories(self) -> list[str]:
        """The categories it is unsafe for, the gravest first."""
        if self.verdict is None:
            return []
        scores = self.verdict.categories
        return sorted(scores, key=lambda category: -scores[category])


@dataclass
class Moderation:
    """The moderation of one answer, and its cost so far.

    `judge` blocks, so it runs in a thread. `panel` is the panel that judges.
    """

    judge: Judge
    panel: Panel
    strict: bool = False
    checks: int = 0
    for_review: int = 0
    cost_usd: Decimal = field(default_factory=Decimal)

    async def require_safe(self, text: str) -> None:
        """Raise `Objection` if `text` is blocked."""
        if not normalise(text).text:
            return  # only white space: there is nothing to judge
        self.checks += 1
        try:
            verdict = await asyncio.to_thread(self.judge, Content(text=text))
        except Exception as failure:  # whatever the error, the text was not judged
            raise Objection("unchecked") from failure
        self.cost_usd += verdict.cost_usd
        if verdict.action is Disposition.ALLOW:
            return
        if verdict.decision is Decision.UNSAFE:
            raise Objection("unsafe", verdict)
        if verdict.decision is Decision.NEEDS_REVIEW:
            heard = sum(isinstance(vote, CastVote) for vote in verdict.votes)
            if heard < quorum_of(self.panel, verdict.votes):
                raise Objection("unchecked", verdict)
            if self.strict:
                raise Objection("needs_review", verdict)
            self.for_review += 1


class AnswerChecks:
    """Judges an answer sentence by sentence as it arrives; for one event loop."""

    def __init__(self, moderation: Moderation) -> None:
        self._moderation = moderation
        self._text = ""
        self._checked = 0
        self._closed = False
        self._changed = asyncio.Event()

    def add(self, piece: str) -> None:
        """Add a piece of the answer."""
        self._text += piece
        self._changed.set()

    def close(self) -> None:
        """Note that the answer is complete."""
        self._closed = True
        self._changed.set()

    @property
    def idle(self) -> bool:
        """Whether there is nothing to judge yet."""
        return self._end() == self._checked

    async def run(self) -> None:
        """Judge until the whole answer is judged; raises `Objection`."""
        while not (self._closed and self._checked == len(self._text)):
            if self.idle:
                self._changed.clear()
                await self._changed.wait()
                continue
            start, end = max(0, self._checked - CONTEXT_CHARACTERS), self._end()
            await self._moderation.require_safe(self._text[start:end])
            self._checked = end

    def _end(self) -> int:
        """The end of the text to judge next."""
        latest = min(len(self._text), self._checked + CHECK_CHARACTERS)
        if self._closed:
            return latest
        ends = [found.end() for found in _SENTENCE_END.finditer(self._text, self._checked, latest)]
        if ends:
            return ends[-1]
        return latest if latest - self._checked >= LONGEST_UNCHECKED else self._checked
