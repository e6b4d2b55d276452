"""The key under which votes are cached: what changes it, and what does not."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from quorum.core.models import Content
from quorum.vote.cache import VoteKey
from quorum.vote.policy import DEFAULT

from tests import make

TEXT = st.text(min_size=1, max_size=40).filter(lambda text: bool(text.strip()))
INVISIBLE = ["\u200b", "\u00ad", "\ufeff", "\u2060"]


def key(text: str, *, tenant: str = "acme", voter: str = "gpt-4.1", shared: bool = False) -> str:
    return make.vote_keys(shared=shared).key(tenant, voter, Content(text=text), DEFAULT)


@given(st.lists(TEXT, min_size=6, max_size=6), st.integers(0, 5), TEXT)
def test_a_key_changes_with_each_of_its_parts(parts: list[str], which: int, other: str) -> None:
    names = ("tenant", "voter", "revision", "policy_version", "normaliser_version", "text")
    same = dict(zip(names, parts, strict=True)) | {"sampling": ""}
    changed = same | {names[which]: other}
    assert (VoteKey(**same).digest() == VoteKey(**changed).digest()) is (changed == same)


@given(TEXT, TEXT, TEXT)
def test_parts_cannot_run_into_each_other(first: str, second: str, third: str) -> None:
    def digest(tenant: str, voter: str) -> str:
        return VoteKey(
            tenant=tenant,
            voter=voter,
            revision="",
            policy_version="",
            normaliser_version="",
            text="",
            sampling="",
        ).digest()

    assert digest(first + second, third) != digest(first, second + third)


@given(st.text(alphabet="abcXYZ가나다äöü", min_size=1), st.sampled_from(INVISIBLE))
def test_what_a_reader_cannot_tell_apart_is_one_text(text: str, invisible: str) -> None:
    assert key(f" {invisible.join(text)}\n") == key(text)
    assert key(unicodedata.normalize("NFD", text)) == key(text)


def test_case_stays_because_shouting_can_change_a_verdict() -> None:
    assert key("get out") != key("GET OUT")


def test_votes_are_shared_between_tenants_only_where_the_deployment_says_so() -> None:
    assert key("a text", tenant="one") != key("a text", tenant="two")
    assert key("a text", tenant="one", shared=True) == key("a text", tenant="two", shared=True)


def test_an_embedded_voters_vote_belongs_to_its_language() -> None:
    cache = make.vote_keys()
    english, german = (Content(text="Gift", language=code) for code in ("en", "de"))
    assumed = Content(text="Gift", language="en", default_language="en")
    contents = (english, german, assumed)
    embedded = {cache.key("acme", "rules", content, DEFAULT) for content in contents}
    gateway = {cache.key("acme", "gpt-4.1", content, DEFAULT) for content in contents}
    assert (len(embedded), len(gateway)) == (3, 1)
