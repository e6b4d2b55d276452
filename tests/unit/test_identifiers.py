"""Ids that are derived: the same request has the same one, and no other has it."""

from itertools import combinations

from quorum.core.identifiers import batch_id_of


def test_no_two_requests_share_a_batch_however_their_parts_are_cut() -> None:
    asked = [
        ("acme", "batches", "k", "{}"),
        ("acme", "documents", "k", "{}"),
        ("acme", "batches", "documents#k", "{}"),
        ("acme", "batches", "k#{}", ""),
        ("acme", "batches", "k", "{}#1:k"),
        ("acme#batches", "k", "", "{}"),
        ("acme", "batches", "7:batches#1:k", "{}"),
        ("acme", "batches", "k", "\ud83d"),
        ("acme", "batches", "k", "\udc00"),
        ("acme", "batches", "k", "?"),
    ]
    assert all(batch_id_of(*one) == batch_id_of(*one) for one in asked)
    for one, other in combinations(asked, 2):
        assert batch_id_of(*one) != batch_id_of(*other), (one, other)
