"""Tokens and dollars of a vote by contents of a call: `python -m bench.packing`.

Prompts are those that are sent, counted with `o200k_base`; replies are those that the instructions
ask for, of a model that keeps to them: a decision, a confidence, a category where the text is
unsafe, and a reason. What real models write differs: measure it with your own by
`quorum record --packed`.
"""

import json
import random
from decimal import Decimal
from typing import Any

from quorum.core.normalise import normalise
from quorum.core.registry import MODELS
from quorum.gateway import tokenizer
from quorum.vote import packing
from quorum.vote.policy import DEFAULT

TEXTS = (
    ("Thanks for the recipe, my kids loved it!", False, "Friendly thanks."),
    ("You are a worthless idiot and everybody here hates you.", True, "Insults a person."),
    ("Does anyone know when the museum opens on Sundays? Their page does not say.", False,
     "A question about opening hours."),
    ("오늘 저녁에 같이 영화 보러 갈 사람 있나요?", False, "영화를 같이 보자는 글입니다."),
    ("I will find out where you live and make you pay for this.", True, "Threatens a person."),
    ("The second half was much better than the first, but the referee had a bad day.", False,
     "A comment on a game."),
    ("¿Alguien sabe si la tienda abre mañana?", False, "Una pregunta sobre horarios."),
    ("Go back to where you came from, nobody wants your kind here.", True, "Xenophobic abuse."),
)  # fmt: skip
SIZES = (1, 2, 4, 8)
_RANDOMNESS = random.Random(1)


def _marker() -> str:
    return f"{_RANDOMNESS.getrandbits(8 * packing.MARKER_BYTES):0{2 * packing.MARKER_BYTES}x}"


def vote(*, unsafe: bool, reason: str, marker: str | None) -> dict[str, Any]:
    """The answer that the instructions ask for."""
    own = {} if marker is None else {"text": marker}
    return own | {
        "decision": "unsafe" if unsafe else "safe",
        "confidence": 0.95,
        "categories": [{"name": "harassment", "score": 0.9}] if unsafe else [],
        "reason": reason,
    }


def tokens_of(size: int) -> tuple[Decimal, Decimal]:
    """Tokens of prompt and reply for each content, over all texts, `size` in a call."""
    prompt = reply = 0
    for start in range(0, len(TEXTS), size):
        some = TEXTS[start : start + size]
        contents = [normalise(text) for text, _, _ in some]
        if size == 1:
            messages = DEFAULT.prompt(contents[0], _marker() + _marker() + "0" * 8)
            said: Any = vote(unsafe=some[0][1], reason=some[0][2], marker=None)
        else:
            markers = [_marker() for _ in some]
            messages = packing.prompt(DEFAULT, contents, markers)
            said = {
                "votes": [
                    vote(unsafe=unsafe, reason=reason, marker=marker)
                    for (_, unsafe, reason), marker in zip(some, markers, strict=True)
                ]
            }
        prompt += sum(tokenizer.count_text(message["content"]) for message in messages)
        reply += tokenizer.count_text(json.dumps(said, ensure_ascii=False))
    return Decimal(prompt) / len(TEXTS), Decimal(reply) / len(TEXTS)


def main() -> None:
    """Print a table: tokens of a vote, and its cost with each language model, against one alone."""
    models = [one for one in MODELS if one.kind != "embedded"]
    alone = tokens_of(1)
    names = " | ".join(one.name for one in models)
    print(f"| in a call | prompt | reply | tokens | {names} |")
    print("|---:" * (4 + len(models)) + "|")
    for size in SIZES:
        prompt, reply = tokens_of(size)
        change = (prompt + reply) / sum(alone) - 1
        costs = [
            (prompt * m.price.input + reply * m.price.output)
            / (alone[0] * m.price.input + alone[1] * m.price.output)
            - 1
            for m in models
        ]
        cells = " | ".join(f"{cost:+.0%}" for cost in costs)
        print(f"| {size} | {prompt:.0f} | {reply:.0f} | {change:+.0%} | {cells} |")


if __name__ == "__main__":
    main()
