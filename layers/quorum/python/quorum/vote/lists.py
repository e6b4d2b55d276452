"""The lists of a policy: words, phrases and patterns that settle a verdict without a vote. Pure.

A block entry makes a content unsafe, a review entry leaves it to a person, and an allow entry
exempts what it matches from both and from the voter `rules`. Entries are matched on the normalised
text, regardless of case, as whole words: `bet` is not in `better`. With a star at its beginning or
end an entry matches inside longer words: `gambl*` matches gambling. Where a script writes no spaces
between words (Chinese, Japanese, Thai, …) or adds endings to them (Korean), entries match anywhere.

All words and phrases are looked for at once, in time linear in the text (Aho-Corasick), and so is
each pattern (`quorum.vote.patterns`): no entry can stall a function. Patterns on the block and
review lists do not see what is allowed.
"""

import unicodedata
from bisect import bisect_right
from collections.abc import Iterable
from functools import cached_property
from itertools import accumulate
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Self

from pydantic import (
    AfterValidator,
    Discriminator,
    FailFast,
    Field,
    StringConstraints,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError

from quorum.core.fields import not_blank
from quorum.core.models import Content, Frozen, LanguageCode, ListHit, ListName
from quorum.core.normalise import normalise
from quorum.core.rejection import ALTERNATIVE
from quorum.vote.patterns import (
    PATTERNS_LIMIT,
    PROGRAMS_LIMIT,
    UNSPACED,
    PatternText,
    any_of,
    is_in,
    places,
    program_sizes,
)

if TYPE_CHECKING:
    from ahocorasick_rs import AhoCorasick

ENTRY_LIMIT = 200
"""Characters of one entry."""
ENTRIES_LIMIT = 10_000
"""Entries of the three lists together."""
LANGUAGES_LIMIT = 20
"""Languages that one entry is for."""
NESTED_LIMIT = 8
"""Entries that may end the same entry (`a`, `ba`, `cba`): as many matches end at one place."""

_STAR = "*"
_ALLOWED = "\ufffc"
"""What patterns see in the place of what is allowed: no letter and no blank."""


def _a_word(text: str) -> str:
    """`text`; raises `ValueError` if it has no letter, digit or sign beside its stars.

    And if it is too long once normalised: one character can become eighteen.
    """
    inner = text.removeprefix(_STAR).removesuffix(_STAR)
    not_blank(inner)
    if _STAR in inner:
        raise ValueError("may have a star only at its beginning and its end")
    if (length := len(normalise(inner).text)) > ENTRY_LIMIT:
        message = (
            f"must have at most {ENTRY_LIMIT} characters once Unicode's compatibility forms are "
            f"written out; it has {length}"
        )
        _refuse(message, ENTRY_LIMIT)
    return text


EntryText = Annotated[
    str, StringConstraints(min_length=1, max_length=ENTRY_LIMIT), AfterValidator(_a_word)
]


class _ForLanguages(Frozen):
    """An entry for texts of some languages only, where it names them."""

    languages: Annotated[tuple[LanguageCode, ...], Field(max_length=LANGUAGES_LIMIT)] = ()

    def fits(self, language: str | None) -> bool:
        """Whether it is for texts of `language`; every entry is, if that is not known."""
        return language is None or not self.languages or language in self.languages


class ListEntry(_ForLanguages):
    """A word or phrase; for texts of some languages only, where it names them."""

    text: EntryText


class ListPattern(_ForLanguages):
    """A regular expression; for texts of some languages only, where it names them."""

    pattern: PatternText


_TEXT, _ENTRY, _PATTERN = (f"{ALTERNATIVE}{kind}" for kind in ("text", "entry", "pattern"))


def _kind(given: Any) -> str:
    if isinstance(given, str):
        return _TEXT
    has_pattern = "pattern" in given if isinstance(given, dict) else isinstance(given, ListPattern)
    return _PATTERN if has_pattern else _ENTRY


Listed = Annotated[
    Annotated[EntryText, Tag(_TEXT)]
    | Annotated[ListEntry, Tag(_ENTRY)]
    | Annotated[ListPattern, Tag(_PATTERN)],
    Discriminator(_kind),
]
"""An entry of a list; a word or phrase for all languages may be written as a text."""
Entries = Annotated[tuple[Listed, ...], FailFast()]
"""A list. The first bad entry ends its check: ten thousand would take half a minute."""


class _Match(NamedTuple):
    """An entry found in the text, from `start` to before `end`."""

    list: ListName
    entry: ListEntry
    start: int
    end: int


class Lists(Frozen):
    """The three lists. An entry without languages may be written as a text."""

    block: Entries = ()
    review: Entries = ()
    allow: Entries = ()

    @model_validator(mode="before")
    @classmethod
    def _not_too_many(cls, given: Any) -> Any:
        """Count before any entry is read: to compile ten thousand patterns takes a minute."""
        if not isinstance(given, dict):
            return given
        lists = [each for name in ListName if isinstance(each := given.get(name), list | tuple)]
        if (count := sum(map(len, lists))) > ENTRIES_LIMIT:
            message = f"has {count} entries; at most {ENTRIES_LIMIT} are allowed"
            _refuse(message, ENTRIES_LIMIT)
        patterns = sum(_kind(one) == _PATTERN for each in lists for one in each)
        if patterns > PATTERNS_LIMIT:
            message = f"has {patterns} patterns; at most {PATTERNS_LIMIT} are allowed"
            _refuse(message, PATTERNS_LIMIT)
        return given

    @model_validator(mode="after")
    def _not_too_costly(self) -> Self:
        patterns = [one.pattern for each in self._patterns.values() for one in each]
        if (programs := program_sizes(patterns)) > PROGRAMS_LIMIT:
            message = f"has patterns of {programs} instructions; at most {PROGRAMS_LIMIT} may be"
            _refuse(message, PROGRAMS_LIMIT)
        ends: list[str] = []  # what ends the last entry, the shortest first; all read backwards
        for entry in sorted(key[::-1] for key, _ in self._entries):
            while ends and not entry.startswith(ends[-1]):
                ends.pop()
            ends.append(entry)
            if len(ends) > NESTED_LIMIT:
                message = (
                    f"has {len(ends)} entries that end {entry[::-1]!r}; at most {NESTED_LIMIT} may"
                )
                _refuse(message, NESTED_LIMIT)
        return self

    def hit(self, content: Content) -> ListHit | None:
        """The entry that settles the verdict on `content`: a block entry, else a review entry."""
        if not (self.block or self.review):
            return None
        text = normalise(content.text).text
        found = self._matches(text, content.language)
        allowed = sorted(self._allowed(text, found, content.language))
        # Up to each start, how far what is allowed reaches.
        reach = list(accumulate((end for _, end in allowed), max))
        seen = _covered(text, allowed, _ALLOWED).encode(errors="replace") if self._patterns else b""
        for name in (ListName.BLOCK, ListName.REVIEW):
            for match in found:
                before = bisect_right(allowed, match.start, key=itemgetter(0))
                exempt = before > 0 and reach[before - 1] >= match.end
                if match.list is name and not exempt:
                    return ListHit(list=name, entry=match.entry.text)
            for one in self._patterns_for(name, seen):
                if one.fits(content.language) and is_in(one.pattern, seen):
                    return ListHit(list=name, entry=one.pattern)
        return None

    def _patterns_for(self, name: ListName, seen: bytes) -> Iterable[ListPattern]:
        """The patterns of a list; none if it is known at once that none matches in `seen`."""
        every = self._any_pattern.get(name)
        if every is not None and every.search(seen) is None:
            return ()
        return self._patterns.get(name, ())

    def without_allowed(self, content: Content) -> Content:
        """The content with a blank in place of everything that an allow entry matches."""
        if not self.allow:
            return content
        text = normalise(content.text).text
        found = self._matches(text, content.language)
        changed = _covered(text, self._allowed(text, found, content.language), " ")
        return content if changed == text else content.model_copy(update={"text": changed})

    def _allowed(
        self, text: str, found: Iterable[_Match], language: str | None
    ) -> list[tuple[int, int]]:
        """Where allow entries match: those `found` in the text, and patterns."""
        spans = [(one.start, one.end) for one in found if one.list is ListName.ALLOW]
        for one in self._patterns.get(ListName.ALLOW, ()):
            spans += places(one.pattern, text) if one.fits(language) else ()
        return spans

    def _matches(self, text: str, language: str | None) -> list[_Match]:
        """Every word and phrase found in a text of that language (all if it is not known)."""
        folded = _Folded.of(text)
        found: list[_Match] = []
        for number, start, end in self._search.find_matches_as_indexes(
            folded.text, overlapping=True
        ):
            for name, entry in self._entries[number][1]:
                if entry.fits(language) and _is_whole(folded.text, start, end, entry.text):
                    place = folded.origin(start), folded.origin(end - 1) + 1
                    found.append(_Match(name, entry, *place))
        return found

    @cached_property
    def _patterns(self) -> dict[ListName, list[ListPattern]]:
        """The patterns of each list that has some."""
        of_lists = {
            name: [one for one in getattr(self, name) if isinstance(one, ListPattern)]
            for name in ListName
        }
        return {name: patterns for name, patterns in of_lists.items() if patterns}

    @cached_property
    def _any_pattern(self) -> dict[ListName, Any]:
        """For each list with patterns, what finds all of them at once, if there is such a thing."""
        return {
            name: any_of(one.pattern for one in patterns)
            for name, patterns in self._patterns.items()
        }

    @cached_property
    def _entries(self) -> list[tuple[str, list[tuple[ListName, ListEntry]]]]:
        """The entries by what is looked for."""
        wanted: dict[str, list[tuple[ListName, ListEntry]]] = {}
        for name in ListName:
            for entry in _entries(getattr(self, name)):
                inner = entry.text.removeprefix(_STAR).removesuffix(_STAR)
                key = _Folded.of(normalise(inner).text).text
                wanted.setdefault(key, []).append((name, entry))
        return list(wanted.items())

    @cached_property
    def _search(self) -> "AhoCorasick":
        from ahocorasick_rs import AhoCorasick  # noqa: PLC0415 - most policies have no lists

        return AhoCorasick([key for key, _ in self._entries])


def _refuse(message: str, limit: int) -> None:
    raise PydanticCustomError("lists_invalid", "{message}", {"message": message, "limit": limit})


def _entries(given: Iterable[str | ListEntry | ListPattern]) -> Iterable[ListEntry]:
    """The words and phrases of a list."""
    for one in given:
        if not isinstance(one, ListPattern):
            # The text was checked when the list was read; checked again it takes twice as long.
            yield ListEntry.model_construct(text=one) if isinstance(one, str) else one


def _covered(text: str, spans: Iterable[tuple[int, int]], by: str) -> str:
    """The text with `by` in the place of every character of `spans`."""
    characters = list(text)
    for start, end in spans:
        characters[start:end] = by * (end - start)
    return "".join(characters)


class _Folded(NamedTuple):
    """A text without case; `ends` maps its indexes to the text's own if folding made it longer."""

    text: str
    ends: tuple[int, ...] | None

    @classmethod
    def of(cls, text: str) -> "_Folded":
        """The folded text."""
        folded = text.casefold()
        if len(folded) == len(text):
            return cls(folded, None)
        each = [character.casefold() for character in text]
        return cls("".join(each), tuple(accumulate(map(len, each))))

    def origin(self, place: int) -> int:
        """The index in the text of the character at `place` in the folded text."""
        if self.ends is None:
            return place
        return bisect_right(self.ends, place)


def _is_whole(text: str, start: int, end: int, entry: str) -> bool:
    """Whether a match begins and ends at borders of words, where its entry has no star."""
    begins = entry.startswith(_STAR) or _is_border(text[start - 1 : start], text[start])
    return begins and (entry.endswith(_STAR) or _is_border(text[end : end + 1], text[end - 1]))


def _is_border(outside: str, inside: str) -> bool:
    """Whether a word may end between two neighbours; `outside` is empty at the text's ends."""
    if not outside or not (_in_word(outside) and _in_word(inside)):
        return True
    return UNSPACED.match(outside) is not None or UNSPACED.match(inside) is not None


def _in_word(character: str) -> bool:
    return unicodedata.category(character)[0] in "LNM" or character == "_"
