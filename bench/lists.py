"""The time that a policy's ten thousand list entries cost a text.

`python -m bench.lists` makes up words on a block list, and texts without any of them: one of 1,000
characters and one of the greatest length. It also measures how long reading the lists takes.
"""

import random
import string
from collections.abc import Callable
from time import perf_counter

from quorum.core.models import CONTENT_LIMIT, Content
from quorum.vote.lists import ENTRIES_LIMIT, Lists

TEXT_CHARACTERS = 1_000


def main() -> None:
    """Print one line for each figure, in milliseconds."""
    chance = random.Random(1)
    words = {_word(chance) for _ in range(2 * ENTRIES_LIMIT)}
    listed, others = sorted(words)[:ENTRIES_LIMIT], sorted(words)[ENTRIES_LIMIT:]
    lists, one_entry = Lists(block=tuple(listed)), Lists(block=(listed[0],))
    first = _milliseconds(lambda: Lists(block=tuple(listed)).hit(Content(text="a text")))
    print(f"{len(listed):,} entries read and looked for once: {first:.2f} ms")
    for characters in (TEXT_CHARACTERS, CONTENT_LIMIT):
        text = " ".join(chance.choices(others, k=characters // 8))[:characters]
        content = Content(text=text)
        assert lists.hit(content) is None  # noqa: S101 nothing of it is listed
        with_them = _milliseconds(lambda: lists.hit(content))  # noqa: B023 called at once
        without = _milliseconds(lambda: one_entry.hit(content))  # noqa: B023 called at once
        print(
            f"{len(text):,} characters: {with_them:.3f} ms with {len(listed):,} entries, "
            f"{without:.3f} ms with one: {with_them / without:.1f} times"
        )


def _word(chance: random.Random) -> str:
    return "".join(chance.choices(string.ascii_lowercase, k=chance.randint(5, 12)))


def _milliseconds(do: Callable[[], object], times: int = 21) -> float:
    """The median of `times` runs."""
    taken = []
    for _ in range(times):
        started = perf_counter()
        do()
        taken.append((perf_counter() - started) * 1000)
    return sorted(taken)[times // 2]


if __name__ == "__main__":
    main()
