"""The page that explains a verdict field by field shows the one that the packaged panel gives."""

import json
import re

from quorum_moderator import Moderator
from tests.template import ROOT

PAGE = (ROOT / "docs/verdict.md").read_text(encoding="utf-8")


def test_the_example_is_what_the_embedded_voters_say() -> None:
    (text,) = re.findall(r'The example is the verdict on "(.*)" by the panel `embedded`', PAGE)
    with Moderator() as moderator:
        verdict = moderator.moderate(text)
    scored = verdict.category_scores["harassment"].model_dump()
    told = {
        "decision": json.dumps(verdict.decision),
        "score": str(round(verdict.score, 4)),
        "confidence": str(round(verdict.confidence, 4)),
        "reason": json.dumps(verdict.reason, ensure_ascii=False),
        "categories": f'{{"harassment": {verdict.categories["harassment"]}, …}}',
        "category_scores": f'{{"harassment": {json.dumps(scored)}, …}}',
    }
    shown = dict(re.findall(r"^\| `(\w+)` \| `([^`]*)` \|", PAGE, re.MULTILINE))
    assert {field: shown[field] for field in told} == told
