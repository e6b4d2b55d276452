"""The model cards are of the voters that are packaged."""

from bench import cards


def test_the_cards_are_of_the_packaged_versions_and_name_every_source() -> None:
    page = cards.PAGE.read_text(encoding="utf-8")
    for voter, version in cards.versions().items():
        assert f"## {voter}\n\nVersion `{version}`" in page
    assert cards.credits_of_sources() in page
