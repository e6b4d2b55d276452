"""Contents as text that shows what it is: characters that a reader cannot see are named. Pure."""

import unicodedata

_LEFT = frozenset("\n\t")
"""Control characters that a page shows by itself."""


def visible(text: str) -> str:
    """The text, with invisible and direction-changing characters as their code points.

    A zero-width joiner stays after a symbol, where it belongs to an emoji.
    """
    return "".join(
        f"⟦U+{ord(one):04X}⟧" if _is_hidden(text, at) else one for at, one in enumerate(text)
    )


def _is_hidden(text: str, at: int) -> bool:
    one = text[at]
    if one in _LEFT or unicodedata.category(one) not in {"Cc", "Cf"}:
        return False
    joins = one == "\u200d" and at > 0 and unicodedata.category(text[at - 1]) in {"So", "Sk", "Mn"}
    return not joins
