"""Values remembered for some seconds."""

from collections.abc import Callable

import pytest
from quorum.aws import remembered
from quorum.aws.remembered import Remembered
from quorum.core.errors import StoreUnavailable

from tests.clock import Clock


class Store:
    """A store whose value changes, and that may be out of reach."""

    def __init__(self) -> None:
        self.value: str | None = "first"
        self.is_down = False
        self.reads = 0

    def read(self, owner: str, name: str) -> str:
        self.reads += 1
        if self.is_down:
            raise StoreUnavailable("it is down")
        return f"{owner}/{name}: {self.value}"


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def get(store: Store, clock: Clock) -> Callable[..., str]:
    values: Remembered[str] = Remembered(seconds=60, clock=clock)
    return lambda name="a", owner="acme": values.get(owner, name, store.read)


def test_a_value_is_read_again_after_its_time_and_is_one_owners(
    get: Callable[..., str], store: Store, clock: Clock
) -> None:
    assert get() == "acme/a: first"
    store.value = "second"
    clock.now += 59
    assert get() == "acme/a: first"
    assert get(owner="other") == "other/a: second"
    clock.now += 1
    assert get() == "acme/a: second"
    assert store.reads == 3


def test_in_an_outage_the_last_value_stays_and_what_was_never_read_is_not_guessed(
    get: Callable[..., str], store: Store, clock: Clock
) -> None:
    get()
    store.is_down = True
    clock.now += 61
    assert get() == "acme/a: first"
    assert get() == "acme/a: first"
    assert store.reads == 2  # not asked again at once
    with pytest.raises(StoreUnavailable):
        get("b")


def test_what_is_forgotten_is_read_again(store: Store, clock: Clock) -> None:
    values: Remembered[str] = Remembered(seconds=60, clock=clock)
    for _ in range(2):
        values.get("acme", "a", store.read)
        values.forget("acme", "a")
    assert store.reads == 2


def test_a_limited_number_of_names_is_remembered(
    get: Callable[..., str], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "KNOWN_NAMES", 2)
    for name in "abca":
        get(name)
    assert store.reads == 4
