"""Panels from SSM, and which one judges when one is bad or SSM does not answer."""

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from quorum.core.errors import PanelInvalid, StoreUnavailable
from quorum.vote import panel
from quorum.vote.panels import LOOK_BACK, RETRY_SECONDS, Panels

from tests.clock import Clock

SECONDS = 60.0


class Counting:
    """An SSM client that counts what it is asked, and fails while `broken`."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.exceptions = client.exceptions
        self.asked: list[str] = []
        self.broken = False
        self.answers = threading.Event()
        self.answers.set()

    def get_parameter(self, *, Name: str) -> Any:
        self.asked.append(Name)
        self.answers.wait()
        if self.broken:
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, "GetParameter")
        return self._client.get_parameter(Name=Name)


@pytest.fixture
def ssm(account: Any) -> Counting:
    return Counting(boto3.client("ssm"))


@pytest.fixture
def panels(ssm: Counting, clock: Clock) -> Panels:
    return Panels(ssm, "/quorum", seconds=SECONDS, clock=clock)  # type: ignore[arg-type] # a double


@pytest.fixture
def put(ssm: Counting) -> Callable[..., None]:
    """Put a panel (or any text) into a parameter."""

    def write(parameter: str, value: Any) -> None:
        text = value if isinstance(value, str) else json.dumps(value)
        boto3.client("ssm").put_parameter(
            Name=parameter, Value=text, Type="String", Overwrite=True, Tier="Intelligent-Tiering"
        )

    return write


def voting(name: str, unsafe: float = 0.5) -> dict[str, Any]:
    return {
        "name": name,
        "rounds": [["gpt-4.1-nano"]],
        "stop": "all",
        "quorum": 1,
        "thresholds": {"unsafe": unsafe, "safe": 0.6},
        "rule": {"kind": "weighted", "weights": {"gpt-4.1-nano": 1}},
    }


Put = Callable[..., None]


def test_without_parameters_the_packaged_panels_judge(panels: Panels) -> None:
    for name in panel.PACKAGED:
        assert panels.effective("acme", name) == (panel.packaged(name), "packaged")


def test_the_tenants_panel_comes_before_the_deployments_and_that_before_the_packaged(
    panels: Panels, put: Put
) -> None:
    put("/quorum/panels/default", voting("default", 0.7))
    put("/quorum/tenants/acme/panels/default", voting("default", 0.8))
    own, common = panels.effective("acme", "default"), panels.effective("other", "default")
    assert (own.source, common.source) == ("tenant", "deployment")
    assert own.panel.version == panel.load(voting("default", 0.8)).version
    assert common.panel.version == panel.load(voting("default", 0.7)).version


def test_a_deployment_may_have_panels_of_names_nobody_packaged(panels: Panels, put: Put) -> None:
    put("/quorum/panels/comments", voting("comments"))
    assert panels.get("acme", "comments").name == "comments"


def test_a_name_nobody_has_is_refused_with_the_names_there_are(panels: Panels) -> None:
    with pytest.raises(PanelInvalid, match=r"no panel 'nobody'.*default, economy, embedded"):
        panels.get("acme", "nobody")


@pytest.mark.parametrize("name", ["default:1", "../panels/default", "a/b", "ä", "", "x" * 65])
def test_what_cannot_be_a_parameters_name_is_not_asked_for(
    panels: Panels, ssm: Counting, name: str
) -> None:
    with pytest.raises(PanelInvalid):
        panels.get("acme", name)
    assert ssm.asked == []


@pytest.mark.parametrize("tenant", ["team#7", "a//b", "/a", "a/", "팀", "a/" * 13 + "a"])
def test_a_tenant_whose_name_no_parameter_can_have_gets_the_deployments_panels(
    panels: Panels, put: Put, ssm: Counting, tenant: str
) -> None:
    put("/quorum/panels/default", voting("default"))
    assert panels.effective(tenant, "default").source == "deployment"
    assert ssm.asked == ["/quorum/panels/default"]


def test_what_was_read_is_believed_for_its_time_and_then_read_again(
    panels: Panels, put: Put, ssm: Counting, clock: Clock
) -> None:
    assert panels.effective("acme", "default").source == "packaged"
    put("/quorum/panels/default", voting("default"))
    clock.now += SECONDS - 1
    assert panels.effective("acme", "default").source == "packaged"
    assert len(ssm.asked) == 2
    clock.now += 1
    assert panels.effective("acme", "default").source == "deployment"


def test_a_parameter_taken_away_no_longer_overrides(panels: Panels, put: Put, clock: Clock) -> None:
    put("/quorum/panels/default", voting("default"))
    assert panels.effective("acme", "default").source == "deployment"
    boto3.client("ssm").delete_parameter(Name="/quorum/panels/default")
    clock.now += SECONDS
    assert panels.effective("acme", "default").source == "packaged"


BAD = {
    "rule.weights.gpt-4.1-nano": voting("default") | {"rule": {"kind": "weighted", "weights": {}}},
    "rounds.0.0": voting("default")
    | {"rounds": [["gpt-5"]], "rule": {"kind": "weighted", "weights": {"gpt-5": 1}}},
    "quorum": voting("default") | {"quorum": 2},
    "colour": voting("default") | {"colour": "red"},
    "name": voting("another"),
    "panel": "not JSON",
}


@pytest.mark.parametrize("field", sorted(BAD))
def test_a_bad_panel_is_refused_by_field_and_counted_and_the_last_good_one_stays(
    panels: Panels,
    put: Put,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    field: str,
) -> None:
    put("/quorum/panels/default", voting("default", 0.7))
    good = panels.get("acme", "default")
    put("/quorum/panels/default", BAD[field])
    clock.now += SECONDS
    assert panels.get("acme", "default") == good
    (refused,) = (vars(record) for record in caplog.records if record.msg == "panel refused")
    assert (refused["field"], refused["version"]) == (field, 2)
    assert refused["parameter"] == "/quorum/panels/default"
    assert '"PanelsRefused":[1.0]' in capsys.readouterr().out


def test_a_process_that_has_a_good_one_searches_no_history(
    panels: Panels, put: Put, ssm: Counting, clock: Clock
) -> None:
    put("/quorum/panels/default", voting("default"))
    good = panels.get("acme", "default")
    for _ in range(LOOK_BACK + 1):
        put("/quorum/panels/default", "not JSON")
    clock.now += SECONDS
    assert panels.get("acme", "default") == good
    assert set(ssm.asked) == {"/quorum/tenants/acme/panels/default", "/quorum/panels/default"}


def test_a_fresh_process_goes_back_to_the_youngest_good_version(panels: Panels, put: Put) -> None:
    for document in (voting("default", 0.6), voting("default", 0.7), "not JSON", BAD["quorum"]):
        put("/quorum/panels/default", document)
    assert panels.get("acme", "default").version == panel.load(voting("default", 0.7)).version


def test_where_no_version_was_ever_good_the_next_in_order_judges(panels: Panels, put: Put) -> None:
    put("/quorum/tenants/acme/panels/default", "not JSON")
    put("/quorum/panels/default", voting("default"))
    assert panels.effective("acme", "default").source == "deployment"


def test_a_bad_panel_mended_is_taken_up(panels: Panels, put: Put, clock: Clock) -> None:
    for document in (voting("default", 0.6), "not JSON", voting("default", 0.8)):
        put("/quorum/panels/default", document)
        found = panels.get("acme", "default")
        clock.now += SECONDS
    assert found.version == panel.load(voting("default", 0.8)).version


def test_when_ssm_does_not_answer_what_is_known_stays(
    panels: Panels, put: Put, ssm: Counting, clock: Clock
) -> None:
    put("/quorum/panels/default", voting("default"))
    known = panels.effective("acme", "default")
    ssm.broken = True
    clock.now += SECONDS
    assert panels.effective("acme", "default") == known


def test_when_nothing_is_known_and_ssm_does_not_answer_nobody_guesses(
    panels: Panels, ssm: Counting, clock: Clock
) -> None:
    ssm.broken = True
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            panels.get("acme", "default")
    assert len(ssm.asked) == 1, "a throttled SSM is not asked at every request"
    ssm.broken = False
    clock.now += RETRY_SECONDS
    assert panels.get("acme", "default") == panel.packaged("default")


def test_threads_that_ask_at_once_read_once(panels: Panels, put: Put, ssm: Counting) -> None:
    put("/quorum/tenants/acme/panels/default", voting("default"))
    ssm.answers.clear()
    threads = [threading.Thread(target=panels.get, args=("acme", "default")) for _ in range(8)]
    for thread in threads:
        thread.start()
    patience = time.monotonic() + 0.2
    while len(ssm.asked) < 2 and time.monotonic() < patience:
        time.sleep(0.01)
    ssm.answers.set()
    for thread in threads:
        thread.join()
    assert ssm.asked == ["/quorum/tenants/acme/panels/default"]


def test_a_shadow_may_have_a_name_of_its_own_and_there_need_be_none(
    panels: Panels, put: Put
) -> None:
    put("/quorum/shadow/default", voting("candidate"))
    seen = panels.shadow_of("acme", "default")
    assert seen is not None
    assert seen.name == "candidate"
    assert panels.shadow_of("acme", "economy") is None


def test_a_tenants_own_shadow_comes_before_the_deployments_and_is_nobody_elses(
    panels: Panels, put: Put
) -> None:
    put("/quorum/shadow/default", voting("candidate"))
    put("/quorum/tenants/acme/shadow/default", voting("own"))
    names = {
        tenant: seen.name
        for tenant in ("acme", "other")
        if (seen := panels.shadow_of(tenant, "default")) is not None
    }
    assert names == {"acme": "own", "other": "candidate"}
    assert panels.shadow_of("team#7", "default") == panels.shadow_of("other", "default")


def test_every_packaged_panel_fits_a_parameter(put: Put, panels: Panels) -> None:
    for name in panel.PACKAGED:
        document = panel.packaged(name).document()
        text = json.dumps(document, separators=(",", ":"))
        assert len(text.encode()) <= 8192
        put(f"/quorum/panels/{name}", text)
        assert panels.effective("acme", name) == (panel.packaged(name), "deployment")
