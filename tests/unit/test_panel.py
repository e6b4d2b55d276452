import copy
import json
from typing import Any

import pytest
from quorum.core.errors import PanelInvalid
from quorum.vote import panel

WEIGHTED: dict[str, Any] = {
    "name": "three",
    "rounds": [["rules", "characters"], ["meaning"]],
    "stop": "settled",
    "quorum": 2,
    "thresholds": {"unsafe": 0.5, "safe": 0.6},
    "rule": {"kind": "weighted", "weights": {"rules": 0.2, "characters": 0.4, "meaning": 0.4}},
}
CALIBRATED: dict[str, Any] = {
    "name": "two-rounds",
    "rounds": [["rules", "characters"], ["meaning"]],
    "stop": "risk",
    "risk": [0.05],
    "quorum": 1,
    "thresholds": {"unsafe": 0.6, "safe": 0.7},
    "rule": {
        "kind": "calibrated",
        "stages": [
            {
                "bias": 0.1,
                "evidence": {
                    "rules": {"unsafe": 1.0, "safe": -0.5},
                    "characters": {"unsafe": 0.5, "safe": -0.5, "slope": 0.8},
                },
                "pairs": [{"voters": ["rules", "characters"], "unsafe": 0.3, "safe": -0.2}],
            },
            {
                "bias": 0.0,
                "evidence": {
                    "rules": {"unsafe": 0.5, "safe": -0.3},
                    "characters": {"slope": 0.5},
                    "meaning": {"unsafe": 1.0, "safe": -1.0},
                },
                "languages": {"de": {"bias": -0.4, "evidence": {"meaning": {"unsafe": 0.8}}}},
            },
        ],
    },
}


@pytest.mark.parametrize("name", panel.PACKAGED)
def test_every_packaged_panel_loads_and_seats_only_voters_of_the_registry(name: str) -> None:
    assert panel.packaged(name).name == name


def test_the_default_panel_has_the_published_weights_and_thresholds() -> None:
    default = panel.packaged("default")
    assert isinstance(default.rule, panel.Weighted)
    assert default.rule.weights == {"gpt-4.1": 0.3, "gemini-2.5-flash": 0.4, "deepseek-v3.2": 0.3}
    assert default.thresholds == panel.Thresholds(unsafe=0.5, safe=0.6)


def test_a_panel_survives_being_written_and_read_with_its_version() -> None:
    for document in (WEIGHTED, CALIBRATED):
        first = panel.load(document)
        second = panel.load(json.dumps(first.document()))
        assert second == first
        assert second.version == first.version
        assert len(first.version) == 12


def test_the_version_ignores_the_order_of_keys_and_changes_with_every_number() -> None:
    reordered = dict(reversed(WEIGHTED.items()))
    assert panel.load(reordered).version == panel.load(WEIGHTED).version
    changed = copy.deepcopy(WEIGHTED)
    changed["thresholds"]["unsafe"] = 0.51
    assert panel.load(changed).version != panel.load(WEIGHTED).version


def test_voters_outside_the_registry_sit_only_where_the_caller_names_them() -> None:
    document = json.dumps(WEIGHTED).replace("meaning", "somebody")
    with pytest.raises(PanelInvalid, match="somebody") as refusal:
        panel.load(document)
    assert refusal.value.path == "rounds.1.0"
    columns = ["rules", "characters", "somebody"]
    assert panel.load(document, voters=columns).voters == tuple(columns)


@pytest.mark.parametrize(
    ("document", "path", "value", "field"),
    [
        (WEIGHTED, ["quorum"], 4, "quorum"),
        (WEIGHTED, ["quorum"], 0, "quorum"),
        (WEIGHTED, ["rounds"], [], "rounds"),
        (WEIGHTED, ["rounds", 1], [], "rounds.1"),
        (WEIGHTED, ["rounds", 1], ["rules"], "rounds"),
        (WEIGHTED, ["stop"], "never", "stop"),
        (WEIGHTED, ["stop"], "risk", "stop"),
        (WEIGHTED, ["risk"], [0.1], "risk"),
        (WEIGHTED, ["colour"], "blue", "colour"),
        (WEIGHTED, ["name"], "no spaces", "name"),
        (WEIGHTED, ["thresholds"], None, "thresholds"),
        (WEIGHTED, ["thresholds", "unsafe"], 1.1, "thresholds.unsafe"),
        (WEIGHTED, ["rule"], {"kind": "lottery"}, "rule"),
        (WEIGHTED, ["rule"], {"kind": "majority"}, "thresholds"),
        (WEIGHTED, ["rule", "weights", "meaning"], -1, "rule.weights.meaning"),
        (WEIGHTED, ["rule", "weights"], {"rules": 1, "meaning": 1}, "rule.weights.characters"),
        (WEIGHTED, ["rule", "weights", "gpt-4.1"], 1, "rule.weights.gpt-4.1"),
        (CALIBRATED, ["thresholds", "safe"], 0.3, "thresholds"),
        (CALIBRATED, ["thresholds", "safe"], 1.0, "thresholds.safe"),
        (CALIBRATED, ["risk"], [0.1, 0.1], "risk"),
        (CALIBRATED, ["rule", "stages"], [], "rule.stages"),
        (CALIBRATED, ["rule", "stages", 0, "bias"], float("nan"), "rule.stages.0.bias"),
        (
            CALIBRATED,
            ["rule", "stages", 0, "evidence", "rules", "unsafe"],
            -1,
            "rule.stages.0.evidence.rules.unsafe",
        ),
        (
            CALIBRATED,
            ["rule", "stages", 0, "evidence", "rules", "needs_review"],
            2,
            "rule.stages.0.evidence.rules.needs_review",
        ),
        (
            CALIBRATED,
            ["rule", "stages", 0, "evidence", "meaning"],
            {},
            "rule.stages.0.evidence.meaning",
        ),
        (
            CALIBRATED,
            ["rule", "stages", 0, "pairs", 0, "voters"],
            ["rules", "meaning"],
            "rule.stages.0.pairs.0.voters",
        ),
        (
            CALIBRATED,
            ["rule", "stages", 1, "languages", "de", "evidence", "gpt-4.1"],
            {},
            "rule.stages.1.languages.de.evidence.gpt-4.1",
        ),
    ],
)
def test_a_bad_panel_is_refused_with_the_field_named(
    document: dict[str, Any], path: list[Any], value: object, field: str
) -> None:
    bad = copy.deepcopy(document)
    inner: Any = bad
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    with pytest.raises(PanelInvalid) as refusal:
        panel.load(bad)
    assert refusal.value.path == field


@pytest.mark.parametrize("document", ["", "[]", "{", "null", '{"name": 1'])
def test_what_is_no_panel_at_all_is_refused_as_a_whole(document: str) -> None:
    with pytest.raises(PanelInvalid) as refusal:
        panel.load(document)
    assert refusal.value.path == "panel"


def test_an_unknown_packaged_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(PanelInvalid, match="default, economy, embedded"):
        panel.packaged("luxury")
