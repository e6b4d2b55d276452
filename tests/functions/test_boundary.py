"""The boundary of handlers: which errors the Lambda runtime gets, and what it prints."""

import importlib
import inspect
import json
import traceback
from collections.abc import Callable
from types import ModuleType
from typing import Any, NoReturn

import pytest
from quorum.aws.boundary import guarded
from quorum.core.errors import QuorumError, StoreUnavailable
from quorum.vote import voting

from functions.authorize import app as authorize
from functions.vote import app as vote
from tests import make, template
from tests.template import ROOT

CONTENT = "MARKED-CONTENT"


def module_of(folder: str) -> ModuleType:
    return importlib.import_module(f"functions.{folder}.app")


def handlers() -> list[tuple[str, str]]:
    """Every function in a handler's file that takes an event and its context."""
    found = []
    for path in sorted((ROOT / "functions").glob("*/app.py")):
        module = module_of(path.parent.name)
        for name, one in inspect.getmembers(module, inspect.isfunction):
            taken = [parameter.lstrip("_") for parameter in inspect.signature(one).parameters]
            if one.__module__ == module.__name__ and taken == ["event", "context"]:
                found.append((path.parent.name, name))
    return found


def test_every_handler_of_the_template_is_looked_at() -> None:
    deployed = {
        (block["CodeUri"].removeprefix("functions/"), block["Handler"].removeprefix("app."))
        for block in template.functions().values()
    }
    assert deployed == set(handlers())


class Marked(dict[str, Any]):
    """An event that cannot be read, by an error that quotes it; printed, it shows its content."""

    def fail(self, *_arguments: Any, **_named: Any) -> NoReturn:
        raise LookupError(CONTENT)

    get = __getitem__ = __contains__ = __or__ = __iter__ = items = keys = fail

    def __repr__(self) -> str:
        return CONTENT


def shown(error: BaseException) -> str:
    """All that a runtime could print of an error."""
    return "".join(traceback.format_exception(error)) + repr(error) + str(error)


@pytest.mark.parametrize(("folder", "name"), handlers())
def test_an_error_leaves_a_handler_without_the_content_it_quotes(
    folder: str,
    name: str,
    context: Any,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = module_of(folder)
    handler = getattr(module, name)
    if "_event" in inspect.signature(handler).parameters:  # it does not read its event
        monkeypatch.setattr(module, "app", Marked().fail)
    with pytest.raises(Exception) as raised:  # noqa: PT011 - whichever it is
        handler(Marked(content=CONTENT), context)
    assert CONTENT not in shown(raised.value)
    assert CONTENT not in caplog.text


def test_a_foreign_error_in_a_voter_is_named_and_never_quoted(
    aws: Any,
    within: Callable[[str], None],
    context: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    within("Gpt41Function")
    vote.app.cache_clear()

    def quotes(*_arguments: Any) -> NoReturn:
        json.loads(f'["{CONTENT}"')
        raise AssertionError

    monkeypatch.setattr(voting, "ask_gateway", lambda *_: quotes)
    with pytest.raises(Exception, match=r"in quorum\.vote\.voting\.vote, line") as raised:
        vote.handler({"evaluation": make.evaluation("x").model_dump(mode="json")}, context)
    vote.app.cache_clear()
    assert type(raised.value).__name__ == "JSONDecodeError"
    assert CONTENT not in shown(raised.value)
    logged = caplog.text
    assert "JSONDecodeError" in logged
    assert CONTENT not in logged


def test_an_error_of_our_own_keeps_its_name_for_state_machines_and_loses_its_cause() -> None:
    @guarded
    def handler(_event: Any, _context: Any) -> None:
        try:
            int(CONTENT)
        except ValueError as error:
            raise StoreUnavailable("a row could not be written") from error

    with pytest.raises(StoreUnavailable, match="a row could not be written") as raised:
        handler({}, None)
    assert CONTENT not in shown(raised.value)


def test_a_setting_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, context: Any) -> None:
    monkeypatch.delenv("KEYS_TABLE", raising=False)
    authorize.app.cache_clear()
    event = json.loads((ROOT / "events/authorize.json").read_text())
    with pytest.raises(QuorumError, match="keys_table: Field required"):
        authorize.handler(event, context)
