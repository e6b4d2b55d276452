import copy
import json
from typing import Any

import pytest
from pydantic import ValidationError
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
def test_every_packaged_panel_loads_and_asks_only_voters_of_the_registry(name: str) -> None:
    assert panel.packaged(name).name == name


def test_the_default_panel_has_the_published_weights_and_thresholds() -> None:
    default = panel.packaged("default")
    assert isinstance(default.rule, panel.Weighted)
    assert default.rule.weights == {"gpt-4.1": 0.3, "gemini-2.5-flash": 0.4, "deepseek-v3.2": 0.3}
    assert default.thresholds == panel.Thresholds(unsafe=0.5, safe=0.6)


def test_a_panel_survives_being_written_and_read_with_its_version() -> None:
    for document in (WEIGHTED, CALIBRATED):
        first = panel.load(document)
        assert first.document() == document
        second = panel.load(json.dumps(first.document()))
        assert second == first
        assert second.version == first.version
        assert len(first.version) == 12


def test_the_version_ignores_the_order_of_keys_and_changes_with_every_number() -> None:
    reordered = dict(reversed(WEIGHTED.items()))
    assert panel.load(reordered).version == panel.load(WEIGHTED).version
    other = changed(WEIGHTED, ["thresholds", "unsafe"], 0.51)
    assert panel.load(other).version != panel.load(WEIGHTED).version


def test_voters_outside_the_registry_sit_only_where_the_caller_names_them() -> None:
    document = json.dumps(WEIGHTED).replace("meaning", "somebody")
    with pytest.raises(PanelInvalid) as refusal:
        panel.load(document, voters={"rules", "meaning", "characters"})
    assert refusal.value.path == "rounds.1.0"
    assert refusal.value.message == (
        "somebody is not a known voter; known voters: characters, meaning, rules"
    )
    with pytest.raises(PanelInvalid, match=r"known voters: .*gpt-4\.1,"):
        panel.load(document)
    columns = ["rules", "characters", "somebody"]
    assert panel.load(document, voters=columns).voters == tuple(columns)


def changed(document: dict[str, Any], path: list[Any], value: object) -> dict[str, Any]:
    """The document with another value in one place."""
    copied = copy.deepcopy(document)
    inner: Any = copied
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return copied


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (["quorum"], 0, "quorum"),
        (["rounds"], [], "rounds"),
        (["rounds", 1], [], "rounds.1"),
        (["stop"], "never", "stop"),
        (["colour"], "blue", "colour"),
        (["name"], "no spaces", "name"),
        (["thresholds", "unsafe"], 1.1, "thresholds.unsafe"),
        (["rule"], {"kind": "lottery"}, "rule"),
        (["rule", "stages", 0, "bias"], float("nan"), "rule.stages.0.bias"),
        (
            ["rule", "stages", 0, "evidence", "rules", "unsafe"],
            -1,
            "rule.stages.0.evidence.rules.unsafe",
        ),
    ],
)
def test_a_bad_field_is_refused_by_name(path: list[Any], value: object, field: str) -> None:
    with pytest.raises(PanelInvalid) as refusal:
        panel.load(changed(CALIBRATED, path, value))
    assert refusal.value.path == field


@pytest.mark.parametrize(
    ("document", "path", "value", "told"),
    [
        (WEIGHTED, ["quorum"], 4, "quorum: is 4, but the panel has only 3 voters"),
        (WEIGHTED, ["rounds", 1], ["rules"], "rounds: rules is named twice"),
        (WEIGHTED, ["escalates"], ["gpt-4.1"], "escalates: gpt-4.1 is not in these rounds"),
        (WEIGHTED, ["clears"], ["gpt-4.1"], "clears: gpt-4.1 is not in these rounds"),
        (
            CALIBRATED,
            ["thresholds_by_language"],
            {"de": {"unsafe": 0.5, "safe": 0.4}},
            "thresholds_by_language.de: overlap: unsafe + safe must be at least 1",
        ),
        (
            CALIBRATED | {"reviewed_languages": ["de"]},
            ["thresholds_by_language"],
            {"de": {"unsafe": 0.5, "safe": 0.6}},
            "thresholds_by_language.de: a person decides in this language",
        ),
        (
            WEIGHTED,
            ["stop"],
            "risk",
            "stop: risk needs the calibrated rule: other scores are no probabilities",
        ),
        (WEIGHTED, ["risk"], [0.1], "risk: goes with the stop rule risk only"),
        (WEIGHTED, ["thresholds"], None, "thresholds: the weighted rule needs them"),
        (
            WEIGHTED,
            ["rule"],
            {"kind": "majority"},
            "thresholds: a majority is more than half; it takes no thresholds",
        ),
        (
            WEIGHTED,
            ["rule", "weights"],
            {"rules": 1, "meaning": 1},
            "rule.weights.characters: is missing",
        ),
        (
            WEIGHTED,
            ["rule", "weights", "gpt-4.1"],
            1,
            "rule.weights.gpt-4.1: is not in these rounds",
        ),
        (CALIBRATED, ["thresholds"], None, "thresholds: the calibrated rule needs them"),
        (
            CALIBRATED,
            ["thresholds", "safe"],
            0.39,
            "thresholds: overlap: unsafe + safe must be at least 1",
        ),
        (
            CALIBRATED,
            ["thresholds"],
            {"unsafe": 1.0, "safe": 0.0},
            "thresholds.unsafe: must lie between 0 and 1: no probability reaches them",
        ),
        (
            CALIBRATED,
            ["thresholds", "safe"],
            0.0,
            "thresholds.safe: must lie between 0 and 1: no probability reaches them",
        ),
        (
            CALIBRATED,
            ["risk"],
            [0.1, 0.1],
            "risk: needs one bound for each of the 1 first rounds",
        ),
        (
            CALIBRATED,
            ["rule", "stages"],
            [],
            "rule.stages: needs one stage for each of the 2 rounds",
        ),
        (
            CALIBRATED,
            ["rule", "stages", 0, "evidence", "rules", "needs_review"],
            2,
            (
                "rule.stages.0.evidence.rules.needs_review: "
                "must lie between the evidence of safe and of unsafe"
            ),
        ),
        (
            CALIBRATED,
            ["rule", "stages", 0, "evidence", "meaning"],
            {},
            "rule.stages.0.evidence.meaning: is not in these rounds",
        ),
        (
            CALIBRATED,
            ["rule", "stages", 0, "pairs", 0, "voters"],
            ["rules", "meaning"],
            "rule.stages.0.pairs.0.voters: are not two voters of these rounds, once",
        ),
        (
            CALIBRATED,
            ["rule", "stages", 0, "pairs"],
            [{"voters": ["rules", "characters"]}, {"voters": ["characters", "rules"]}],
            "rule.stages.0.pairs.1.voters: are not two voters of these rounds, once",
        ),
        (
            CALIBRATED,
            ["rule", "stages", 1, "languages", "de", "evidence", "gpt-4.1"],
            {},
            "rule.stages.1.languages.de.evidence.gpt-4.1: is not in these rounds",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused_in_words(
    document: dict[str, Any], path: list[Any], value: object, told: str
) -> None:
    with pytest.raises(PanelInvalid) as refusal:
        panel.load(changed(document, path, value))
    assert refusal.value.told == told
    assert told.startswith(f"{refusal.value.path}: ")


@pytest.mark.parametrize(
    ("document", "path", "value"),
    [
        (WEIGHTED, ["quorum"], 3),
        (WEIGHTED, ["rule", "weights", "meaning"], 1e-9),
        (CALIBRATED, ["thresholds"], {"unsafe": 0.5, "safe": 0.5}),
        (CALIBRATED, ["thresholds"], {"unsafe": 0.01, "safe": 0.99}),
        (CALIBRATED, ["risk"], None),
    ],
)
def test_what_is_just_allowed_is_taken(
    document: dict[str, Any], path: list[Any], value: object
) -> None:
    panel.load(changed(document, path, value))


@pytest.mark.parametrize("document", ["", "[]", "{", "null", '{"name": 1'])
def test_what_is_no_panel_at_all_is_refused_as_a_whole(document: str) -> None:
    with pytest.raises(PanelInvalid) as refusal:
        panel.load(document)
    assert refusal.value.path == "panel"
    assert refusal.value.message


def test_what_cannot_be_written_as_json_is_refused_as_a_whole() -> None:
    with pytest.raises(PanelInvalid) as refusal:
        panel.load({"name": {"a set"}})
    assert refusal.value.told == "panel: is not JSON: Object of type set is not JSON serializable"


def test_a_refusal_is_pydantics_own_where_a_panel_is_part_of_something_else() -> None:
    with pytest.raises(ValidationError) as refusal:
        panel.Panel.model_validate(changed(WEIGHTED, ["quorum"], 4))
    (error,) = refusal.value.errors()
    assert (error["type"], error["ctx"]["field"]) == ("panel_invalid", "quorum")


def test_an_unknown_packaged_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(PanelInvalid, match="default, economy, embedded"):
        panel.packaged("luxury")


def test_a_language_has_thresholds_and_a_midpoint_of_its_own_or_else_the_panels() -> None:
    own = {"de": {"unsafe": 0.9, "safe": 0.95}}
    both = panel.load(CALIBRATED | {"thresholds_by_language": own})
    assert both.thresholds is not None
    assert both.thresholds_of("de") == panel.Thresholds(unsafe=0.9, safe=0.95)
    assert both.thresholds_of("en") == both.thresholds_of(None) == both.thresholds
    assert both.midpoint_of("de") == pytest.approx(0.475)
    usual = (both.thresholds.unsafe + 1 - both.thresholds.safe) / 2
    assert both.midpoint_of("en") == both.midpoint_of(None) == pytest.approx(usual)
    majority = {name: WEIGHTED[name] for name in WEIGHTED if name != "thresholds"}
    assert panel.load(majority | {"rule": {"kind": "majority"}}).midpoint_of("de") == 0.5


def test_a_name_that_stands_twice_in_an_object_is_refused() -> None:
    text = json.dumps(panel.packaged("default").document())
    with pytest.raises(PanelInvalid, match=r"^quorum: stands twice in one object$"):
        panel.load(text[:-1] + ', "quorum": 3}')
    inside = text.replace('"gpt-4.1": 0.3', '"gpt-4.1": 0.9, "gpt-4.1": 0.3', 1)
    assert inside != text
    with pytest.raises(PanelInvalid, match=r"^gpt-4.1: stands twice"):
        panel.load(inside)
