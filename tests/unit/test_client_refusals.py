"""What the Python client tells before anything is sent: addresses, keys and ids that cannot be."""

from typing import Any

import pytest

from quorum_client import AsyncQuorum, NotFound, Quorum, RequestRefused
from tests.unit.test_client import URL, client, in_turn, verdict


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "quorum.example/v1",
            "ftp://quorum.example",
            "https://",
            "http://[::1",
            "https://…/v1",
        ),
        *("https://quorum.example/v1?key=qk", "https://quorum.example/v1#", "https://xn--/v1"),
        *("https://a..example", f"https://{'a' * 64}.example", "https://quorum.example:65536/v1"),
    ],
)
@pytest.mark.parametrize("kind", [Quorum, AsyncQuorum])
def test_what_cannot_be_an_address_is_told_before_anything_is_asked(kind: Any, url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        kind(url, key="qk_key")


@pytest.mark.parametrize("key", ["", None, "qk_…", "qk key", "qk_key\n"])
@pytest.mark.parametrize("kind", [Quorum, AsyncQuorum])
def test_what_cannot_be_a_key_is_told_without_quoting_it(kind: Any, key: Any) -> None:
    with pytest.raises(ValueError, match="the key") as told:
        kind(URL, key=key)
    assert not key or key not in str(told.value)


@pytest.mark.parametrize(
    ("verdict_id", "path"),
    [
        ("../keys", "/v1/verdicts/..%2Fkeys"),
        ("x?y=1#z", "/v1/verdicts/x%3Fy%3D1%23z"),
        ("a verdict", "/v1/verdicts/a%20verdict"),
        ("\ud83d", "/v1/verdicts/%3F"),
    ],
)
def test_an_id_is_one_part_of_the_path_whatever_it_holds(verdict_id: str, path: str) -> None:
    answer, seen = in_turn(verdict())
    client(answer).verdict(verdict_id)
    assert (seen[0].url.raw_path.decode(), seen[0].url.query) == (path, b"")


@pytest.mark.parametrize(
    "url", ["https://quorum.example./v1/", "http://[::1]:4566/v1", "http://1.2.3.4"]
)
def test_any_host_may_be_the_address_of_a_deployment(url: str) -> None:
    Quorum(url, key="qk_key").close()


@pytest.mark.parametrize("key", ["é", "\ud83d", "a\nb", " a", "a\x7f"])
def test_an_idempotency_key_that_no_header_can_hold_is_refused_and_nothing_is_sent(
    key: str,
) -> None:
    answer, seen = in_turn()
    with pytest.raises(RequestRefused) as refused:
        client(answer).moderate("a text", idempotency_key=key)
    assert (refused.value.code, refused.value.field) == (
        "invalid_idempotency_key",
        "idempotency_key",
    )
    assert seen == []


@pytest.mark.parametrize("verdict_id", ["", ".", "..", None, 7])
def test_an_id_that_no_path_can_have_is_not_asked_for(verdict_id: Any) -> None:
    answer, seen = in_turn()
    with pytest.raises(NotFound):
        client(answer).verdict(verdict_id)
    assert seen == []
