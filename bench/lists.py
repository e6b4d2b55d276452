"""The processor time that a policy's ten thousand list entries cost a text.

`python -m bench.lists` makes up words on a block list, with and without patterns among them, and
texts that none of them matches: one of 1,000 characters and one of the greatest length. It also
measures how long reading the lists takes, and the slowest pattern that is accepted.
"""

import random
import string
from collections.abc import Callable
from functools import partial
from time import process_time

from quorum.core.models import CONTENT_LIMIT, Content
from quorum.vote.lists import ENTRIES_LIMIT, Lists
from quorum.vote.patterns import PATTERNS_LIMIT

TEXT_CHARACTERS = 1_000
SLOW = "[^a]{1,450}z"
"""A pattern of nearly as many instructions as it may have, for which RE2 has no fast way."""


def main() -> None:
    """Print one line for each figure, in milliseconds of processor time."""
    chance = random.Random(1)
    words = {_word(chance) for _ in range(2 * ENTRIES_LIMIT)}
    listed, others = sorted(words)[:ENTRIES_LIMIT], sorted(words)[ENTRIES_LIMIT:]
    lists, one_entry = Lists(block=tuple(listed)), Lists(block=(listed[0],))
    patterns = [{"pattern": f"{word[0]}[{word[1]}3]{word[2:]}s?"} for word in listed]
    mixed = Lists.model_validate({"block": [*listed[PATTERNS_LIMIT:], *patterns[:PATTERNS_LIMIT]]})
    first = _milliseconds(lambda: Lists(block=tuple(listed)).hit(Content(text="a text")))
    print(f"{len(listed):,} entries read and looked for once: {first:.2f} ms")
    for characters in (TEXT_CHARACTERS, CONTENT_LIMIT):
        text = " ".join(chance.choices(others, k=characters // 8))[:characters]
        content = Content(text=text)
        assert lists.hit(content) is None  # noqa: S101 nothing of it is listed
        with_them = _milliseconds(partial(lists.hit, content))
        without = _milliseconds(partial(one_entry.hit, content))
        print(
            f"{len(text):,} characters: {with_them:.3f} ms with {len(listed):,} entries, "
            f"{without:.3f} ms with one: {with_them / without:.1f} times"
        )
        assert mixed.hit(content) is None  # noqa: S101 nothing of it is listed
        among = _milliseconds(partial(mixed.hit, content))
        print(f"… {among:.3f} ms with {PATTERNS_LIMIT} patterns among the entries")
    slow = Lists.model_validate({"block": [{"pattern": SLOW}]})
    worst = _milliseconds(lambda: slow.hit(Content(text="x" * CONTENT_LIMIT)), 3)
    print(f"{CONTENT_LIMIT:,} characters: {worst:.0f} ms with {SLOW}")


def _word(chance: random.Random) -> str:
    return "".join(chance.choices(string.ascii_lowercase, k=chance.randint(5, 12)))


def _milliseconds(do: Callable[[], object], times: int = 21) -> float:
    """The median of `times` runs."""
    taken = []
    for _ in range(times):
        started = process_time()
        do()
        taken.append((process_time() - started) * 1000)
    return sorted(taken)[times // 2]


if __name__ == "__main__":
    main()
